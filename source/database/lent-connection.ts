import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import { EndedByStatementError, TransactionAbortedError } from './errors.ts'

type Consumer<T> = (connection: DatabaseConnection) => Promise<T>

/** How Kysely passes a connection to a consumer; it takes the connection back when the consumer is done. */
export type Provide = <T>(consumer: Consumer<T>) => Promise<T>

type Optional<Name extends keyof DatabaseConnection> = DatabaseConnection[Name] | undefined

/** A session that a connection is lent to. */
export interface Borrower {
  readonly role: string
  /** Whether a transaction is open on the connection; undefined where that is not known. */
  readonly isInTransaction: () => boolean | undefined
  /** Ends one that a statement has left open. @returns the error for it */
  readonly endLeftOpen?: () => Error
}

/** How Kysely's drivers begin and end. */
const BEGINS = /^(?:begin|start transaction)/
const ENDS = /^(?:commit|rollback)$/

/**
 * A connection of Kysely's, lent to a consumer. Kysely's controlled transaction keeps it for ever where BEGIN or ROLLBACK
 * fails (https://github.com/kysely-org/kysely/issues/1990); here that is the end of the loan.
 */
export class LentConnection {
  readonly #connection: DatabaseConnection
  readonly #takeBack: (error: unknown) => void
  readonly #borrower: Borrower | undefined
  #isOver = false
  #hasBegun = false
  /** The transaction was ended by something else than its COMMIT or ROLLBACK. */
  #ended: Error | undefined

  private constructor(
    connection: DatabaseConnection,
    takeBack: (error: unknown) => void,
    borrower: Borrower | undefined,
  ) {
    this.#connection = connection
    this.#takeBack = takeBack
    this.#borrower = borrower
  }

  /** Lends `connection` until `consumer` is done with it, or cannot be. Nothing is sent behind the end of the `borrower`'s transaction. */
  static lend<T>(connection: DatabaseConnection, consumer: Consumer<T>, borrower?: Borrower): Promise<T> {
    return new Promise((resolve, reject) => {
      const lent = new LentConnection(connection, reject, borrower)
      // What comes later would get into the work of the next one.
      consumer(lent as DatabaseConnection)
        .finally(() => (lent.#isOver = true))
        .then((result) => lent.#settle(result))
        .then(resolve, reject)
    })
  }

  #settle<T>(result: T): T {
    const { isInTransaction, endLeftOpen } = this.#borrower ?? {}
    if (endLeftOpen !== undefined && isInTransaction?.() === true) throw endLeftOpen()
    return result
  }

  async executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    this.#assertLent()
    const { sql } = query
    if (this.#ended !== undefined) {
      // Nothing is left to be rolled back.
      if (sql === 'rollback') return { rows: [] }
      throw this.#ended
    }
    // A COMMIT of the program's own has ended it, by Kysely.
    if (sql === 'commit' && !this.#hasBegun && this.#borrower !== undefined) {
      throw new EndedByStatementError(this.#role, 'committed')
    }
    try {
      const result = await this.#connection.executeQuery<R>(query, options)
      this.#noteAnswer(sql)
      return result
    } catch (error) {
      this.#noteError(sql, error)
      throw error
    }
  }

  /** @throws EndedByStatementError where the transaction is over */
  #noteAnswer(sql: string): void {
    if (BEGINS.test(sql)) this.#hasBegun = true
    else if (ENDS.test(sql)) this.#hasBegun = false
    else if (this.#isGone) throw (this.#ended = new EndedByStatementError(this.#role, 'unknown'))
  }

  #noteError(sql: string, error: unknown): void {
    if (sql === 'rollback' || (BEGINS.test(sql) && !this.#hasBegun)) {
      this.#isOver = true
      this.#takeBack(error)
    } else if (this.#isGone) this.#ended ??= new TransactionAbortedError(this.#role, error)
  }

  get #role(): string {
    return this.#borrower?.role ?? ''
  }

  /** Whether a transaction was begun that is not there any more. */
  get #isGone(): boolean {
    return this.#hasBegun && this.#borrower?.isInTransaction() === false
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
