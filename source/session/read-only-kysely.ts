import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection, Kysely, QueryResult } from 'kysely'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Database } from './database-link.ts'
import { kyselyWith } from './session-kysely.ts'
import type { Session } from './session.ts'
import { rowsOfResult, traceStatement, traceStream, type StatementDetails } from './trace.ts'

type CancelQuery = NonNullable<DatabaseConnection['cancelQuery']>

/**
 * The context of a read-only session without a transaction: each statement takes a connection of the ORM's, a replica's
 * where there are replicas, and is looked at before it is sent.
 */
export function readOnlyKysely(session: Session, database: Database, em: SqlEntityManager): Kysely<any> {
  // One replica for the whole session, so that two reads of a request do not travel in time.
  const connection = em.getConnection('read')
  const client = connection.getClient()
  const running = new Set<ReadOnlyConnection>()
  session.onCancel = () => {
    for (const each of running) void each.cancelQuery((use) => client.getExecutor().provideConnection(use))
  }
  return kyselyWith(session, client, {
    async provideConnection(consumer, options) {
      session.assertUsable()
      await connection.ensureConnection()
      return await client.getExecutor().provideConnection(async (inner) => {
        session.assertUsable()
        const readOnly = new ReadOnlyConnection(session, database, inner)
        running.add(readOnly)
        try {
          return await consumer(readOnly)
        } finally {
          running.delete(readOnly)
        }
      }, options)
    },
  })
}

function byItself(): StatementDetails {
  return { inTransaction: false, begins: false, backend: undefined }
}

class ReadOnlyConnection implements DatabaseConnection {
  readonly #session: Session
  readonly #database: Database
  readonly #inner: DatabaseConnection

  constructor(session: Session, database: Database, inner: DatabaseConnection) {
    this.#session = session
    this.#database = database
    this.#inner = inner
  }

  async executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    const send = async (): Promise<QueryResult<R>> => {
      await this.#admit(query)
      return await this.#database.patiently(() => this.#inner.executeQuery<R>(query, options))
    }
    return await traceStatement(this.#session, query, byItself, send, rowsOfResult)
  }

  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    yield* traceStream(this.#session, query, byItself, this.#chunks<R>(query, chunkSize, options), rowsOfResult)
  }

  async *#chunks<R>(
    query: CompiledQuery,
    chunkSize: number,
    options: AbortableOperationOptions | undefined,
  ): AsyncIterableIterator<QueryResult<R>> {
    await this.#admit(query)
    yield* this.#inner.streamQuery<R>(query, chunkSize, options)
  }

  async collectSessionInfo(): Promise<void> {
    await this.#inner.collectSessionInfo?.()
  }

  async cancelQuery(control: Parameters<CancelQuery>[0]): Promise<void> {
    await this.#inner.collectSessionInfo?.()
    await this.#inner.cancelQuery?.(control)
  }

  async #admit(query: CompiledQuery): Promise<void> {
    this.#session.admit(await this.#database.kindOf(query.sql), query, 'orm')
  }
}
