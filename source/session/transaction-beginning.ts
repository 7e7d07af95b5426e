import type { DatabaseConnection } from '../database/database.ts'
import { StatementQueue } from '../database/statement-queue.ts'
import type { TransactionConnection } from './transaction-connection.ts'
import type { TransactionEvents } from './transaction-events.ts'
import type { TransactionLog } from './transaction-log.ts'

/**
 * The beginning of a database transaction that somebody hears of. The first statement has the turn, and waits for the
 * subscribers: what they send goes ahead.
 */
export class TransactionBeginning {
  readonly #connection: TransactionConnection
  readonly #events: TransactionEvents
  readonly #log: TransactionLog
  readonly #turns = new StatementQueue()
  #done: Promise<DatabaseConnection> | undefined

  constructor(connection: TransactionConnection, events: TransactionEvents, log: TransactionLog) {
    this.#connection = connection
    this.#events = events
    this.#log = log
  }

  /** Whether the running code was called by a subscriber. */
  get isInside(): boolean {
    return this.#events.isInside
  }

  /** The turns of what subscribers send; undefined for all others. */
  get turnsHere(): StatementQueue | undefined {
    return this.isInside ? this.#turns : undefined
  }

  /** Begins, once. @throws what kept it from beginning, also what a subscriber threw */
  done(): Promise<DatabaseConnection> {
    return (this.#done ??= this.#begin())
  }

  async #begin(): Promise<DatabaseConnection> {
    await this.#events.beforeStart()
    const connection = await this.#connection.open()
    // BEGIN would travel with the first statement, which is yet to come.
    if (this.#events.hearsAfterStart) await connection.begin?.()
    this.#log.begin()
    await this.#events.afterStart()
    return connection
  }
}
