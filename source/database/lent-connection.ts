import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'

type Consumer<T> = (connection: DatabaseConnection) => Promise<T>

/** How Kysely passes a connection to a consumer; it takes the connection back when the consumer is done. */
export type Provide = <T>(consumer: Consumer<T>) => Promise<T>

type Optional<Name extends keyof DatabaseConnection> = DatabaseConnection[Name] | undefined

/** How Kysely's drivers begin and roll back. */
const BEGINS_OR_ROLLS_BACK = /^(?:begin|start transaction|rollback$)/

/**
 * A connection of Kysely's, lent to a consumer. Kysely's controlled transaction keeps it for ever where BEGIN or ROLLBACK
 * fails (https://github.com/kysely-org/kysely/issues/1990); here that is the end of the loan.
 */
export class LentConnection {
  readonly #connection: DatabaseConnection
  readonly #takeBack: (error: unknown) => void
  #isOver = false

  private constructor(connection: DatabaseConnection, takeBack: (error: unknown) => void) {
    this.#connection = connection
    this.#takeBack = takeBack
  }

  /** Lends `connection` until `consumer` is done with it, or cannot be. */
  static lend<T>(connection: DatabaseConnection, consumer: Consumer<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const lent = new LentConnection(connection, reject)
      // What comes later would get into the work of the next one.
      consumer(lent as DatabaseConnection)
        .finally(() => (lent.#isOver = true))
        .then(resolve, reject)
    })
  }

  async executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    this.#assertLent()
    try {
      return await this.#connection.executeQuery<R>(query, options)
    } catch (error) {
      if (BEGINS_OR_ROLLS_BACK.test(query.sql)) {
        this.#isOver = true
        this.#takeBack(error)
      }
      throw error
    }
  }

  streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    this.#assertLent()
    return this.#connection.streamQuery<R>(query, chunkSize, options)
  }

  // Kysely looks which of these a connection has.

  get collectSessionInfo(): Optional<'collectSessionInfo'> {
    return this.#connection.collectSessionInfo?.bind(this.#connection)
  }

  get cancelQuery(): Optional<'cancelQuery'> {
    return this.#connection.cancelQuery?.bind(this.#connection)
  }

  get killSession(): Optional<'killSession'> {
    return this.#connection.killSession?.bind(this.#connection)
  }

  #assertLent(): void {
    if (!this.#isOver) return
    throw new Error(
      'The transaction of this statement is over, and its connection was given back: its BEGIN or ROLLBACK failed, or it ' +
        'was ended. Begin another one, by em.transactional() or em.begin().',
    )
  }
}
