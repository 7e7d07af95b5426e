import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection, Kysely, QueryResult } from 'kysely'
import type { Admit, Database, Reads } from '../database/database.ts'
import { kyselyWith, type NestingHost, type StatementSource } from './session-kysely.ts'
import { rowsOfResult, traceStatement, traceStream, type StatementDetails, type Traceable } from './trace.ts'
import type { WriteState } from './write-state.ts'

/** The session that a context for reading belongs to. */
export interface ReadingHost extends NestingHost, Traceable {
  readonly em: SqlEntityManager
  assertUsable(): void
  admit(...statement: Parameters<WriteState['admit']>): void
  track<Row>(rows: AsyncIterable<Row>): AsyncIterableIterator<Row>
}

export interface ReadOnlyContext {
  readonly kysely: Kysely<any>
  /** Its statements under way. */
  readonly reads: { cancel(): void }
}

/**
 * The context of a read-only session without a transaction: each statement takes a connection of the ORM's, a replica's
 * where there are replicas, and is looked at before it is sent.
 */
export function readOnlyKysely(session: ReadingHost, database: Database, em: SqlEntityManager): ReadOnlyContext {
  // One replica for the whole session, so that two reads of a request do not travel in time.
  const connection = em.getConnection('read')
  const source = new ReadOnlySource(session, database, connection)
  return { kysely: kyselyWith(session, connection.getClient(), source), reads: source }
}

class ReadOnlySource implements StatementSource {
  readonly #session: ReadingHost
  readonly #database: Database
  readonly #connection: AbstractSqlConnection
  readonly #plain: ReadOnlyConnection
  /** Those that can be cancelled by themselves. */
  readonly #single = new Set<ReadOnlyConnection>()

  constructor(session: ReadingHost, database: Database, connection: AbstractSqlConnection) {
    this.#session = session
    this.#database = database
    this.#connection = connection
    this.#plain = this.#connect()
  }

  async provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    this.#session.assertUsable()
    const connection = this.#connect()
    this.#single.add(connection)
    try {
      return await consumer(connection)
    } finally {
      this.#single.delete(connection)
    }
  }

  executeQuery(query: CompiledQuery): Promise<QueryResult<unknown>> {
    try {
      this.#session.assertUsable()
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#plain.executeQuery(query)
  }

  /** Has the database give up what runs. */
  cancel(): void {
    this.#plain.cancel()
    for (const each of this.#single) each.cancel()
  }

  #connect(): ReadOnlyConnection {
    return new ReadOnlyConnection(this.#session, this.#database.reads(this.#connection, this.#session.em))
  }
}

class ReadOnlyConnection implements DatabaseConnection {
  readonly #session: ReadingHost
  readonly #reads: Reads

  constructor(session: ReadingHost, reads: Reads) {
    this.#session = session
    this.#reads = reads
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    const statement = new Statement(this.#session, query, options)
    const send = () => this.#reads.execute(query, statement.admit, options)
    return traceStatement(this.#session, query, statement.details, send, rowsOfResult) as Promise<QueryResult<R>>
  }

  streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    return this.#session.track(this.#results<R>(query, chunkSize, options))
  }

  async *#results<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    const { admit, details } = new Statement(this.#session, query, options)
    const chunks = this.#reads.stream(query, chunkSize, admit, options)
    for await (const rows of traceStream(this.#session, query, details, chunks, ({ length }) => length)) {
      yield { rows: rows as R[] }
    }
  }

  cancel(): void {
    this.#reads.cancel()
  }

  /** For MikroORM's `signal` with the strategy 'cancel query'. */
  async collectSessionInfo(): Promise<void> {}

  async cancelQuery(): Promise<void> {
    this.cancel()
  }
}

/** One statement, and where it went. */
class Statement {
  readonly #session: ReadingHost
  readonly #query: CompiledQuery
  readonly #options: AbortableOperationOptions | undefined
  #backend: number | undefined

  constructor(session: ReadingHost, query: CompiledQuery, options: AbortableOperationOptions | undefined) {
    this.#session = session
    this.#query = query
    this.#options = options
  }

  /** A connection may have been waited for, and what was to be done with it be moot by now. */
  readonly admit: Admit = (kind, backend) => {
    this.#backend = backend
    this.#options?.signal?.throwIfAborted()
    this.#session.assertUsable()
    this.#session.admit(kind, this.#query, 'orm')
  }

  readonly details = (): StatementDetails => ({ inTransaction: false, begins: false, backend: this.#backend })
}
