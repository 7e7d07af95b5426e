import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection, Kysely, QueryResult } from 'kysely'
import type { Admit, Database, Reads } from './database-link.ts'
import { kyselyWith, type StatementSource } from './session-kysely.ts'
import type { Session } from './session.ts'
import { rowsOfResult, traceStatement, traceStream, type StatementDetails } from './trace.ts'

/**
 * The context of a read-only session without a transaction: each statement takes a connection of the ORM's, a replica's
 * where there are replicas, and is looked at before it is sent.
 */
export function readOnlyKysely(session: Session, database: Database, em: SqlEntityManager): Kysely<any> {
  // One replica for the whole session, so that two reads of a request do not travel in time.
  const connection = em.getConnection('read')
  const source = new ReadOnlySource(session, database, connection)
  session.onCancel = source
  return kyselyWith(session, connection.getClient(), source)
}

class ReadOnlySource implements StatementSource {
  readonly #session: Session
  readonly #database: Database
  readonly #connection: AbstractSqlConnection
  readonly #running = new Set<Reads>()

  constructor(session: Session, database: Database, connection: AbstractSqlConnection) {
    this.#session = session
    this.#database = database
    this.#connection = connection
  }

  async provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    this.#session.assertUsable()
    const reads = this.#database.reads(this.#connection, this.#session.em)
    this.#running.add(reads)
    try {
      return await consumer(new ReadOnlyConnection(this.#session, reads))
    } finally {
      this.#running.delete(reads)
    }
  }

  executeQuery(query: CompiledQuery): Promise<QueryResult<unknown>> {
    return this.provideConnection((connection) => connection.executeQuery(query))
  }

  /** Has the database give up what runs. */
  cancel(): void {
    for (const each of this.#running) each.cancel()
  }
}

class ReadOnlyConnection implements DatabaseConnection {
  readonly #session: Session
  readonly #reads: Reads

  constructor(session: Session, reads: Reads) {
    this.#session = session
    this.#reads = reads
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    const send = () => this.#reads.execute(query, this.#admit(query, options), options)
    return traceStatement(this.#session, query, this.#details, send, rowsOfResult) as Promise<QueryResult<R>>
  }

  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    const chunks = this.#reads.stream(query, chunkSize, this.#admit(query, options), options)
    for await (const rows of traceStream(this.#session, query, this.#details, chunks, ({ length }) => length)) {
      yield { rows: rows as R[] }
    }
  }

  /** For MikroORM's `signal` with the strategy 'cancel query'. */
  async collectSessionInfo(): Promise<void> {}

  async cancelQuery(): Promise<void> {
    this.#reads.cancel()
  }

  readonly #details = (): StatementDetails => ({ inTransaction: false, begins: false, backend: this.#reads.backend })

  /** A connection may have been waited for, and what was to be done with it be moot by now. */
  #admit(query: CompiledQuery, options: AbortableOperationOptions | undefined): Admit {
    return (kind) => {
      options?.signal?.throwIfAborted()
      this.#session.assertUsable()
      this.#session.admit(kind, query, 'orm')
    }
  }
}
