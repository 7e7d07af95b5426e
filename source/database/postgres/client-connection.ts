import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import type { PooledClient } from './pooled-client.ts'

const MIKRO_ORMS_WRITE = /^(?:insert into|update|delete from) "/

/**
 * A connection of Kysely's over a client out of the pool. Kysely cancels by pg_cancel_backend(), which a pooler leads to
 * nobody or to another client, and waits for ever where the connection of a stream is lost
 * (https://github.com/kysely-org/kysely/blob/v0.29.6/src/dialect/postgres/postgres-driver.ts).
 */
export class ClientConnection implements DatabaseConnection {
  readonly #connection: DatabaseConnection
  readonly #held: PooledClient

  constructor(connection: DatabaseConnection, held: PooledClient) {
    this.#connection = connection
    this.#held = held
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    this.#watch(query)
    return this.#held.send(query.sql, () => this.#connection.executeQuery<R>(query, options))
  }

  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    const held = this.#held
    this.#watch(query)
    const results = this.#connection.streamQuery<R>(query, chunkSize, options)
    try {
      for (;;) {
        const { done, value } = await held.send(query.sql, () => held.orLost(results.next()))
        if (done === true) return
        yield value
      }
    } finally {
      if (!held.isLost) await held.orLost(results.return?.(undefined) as Promise<unknown>)
    }
  }

  async collectSessionInfo(): Promise<void> {}

  async cancelQuery(): Promise<void> {
    this.#held.cancel()
    await this.#held.cancelling
  }

  async killSession(): Promise<void> {
    await this.cancelQuery()
    this.#held.close()
  }

  #watch({ sql }: CompiledQuery): void {
    // Statements of MikroORM's own and of the program look the same, but for these.
    this.#held.left.note(sql, !MIKRO_ORMS_WRITE.test(sql))
  }
}
