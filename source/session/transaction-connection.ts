import type { SqlEntityManager } from '@mikro-orm/sql'
import type { BeginOptions } from '../database/begin-options.ts'
import { Cancelling, type Cancellable } from '../database/cancelling.ts'
import type { CommitAnswer, Database, DatabaseConnection, Doubt, PrepareAnswer } from '../database/database.ts'
import { rollBackAndRelease } from '../database/roll-back-and-release.ts'
import { StatementQueue } from '../database/statement-queue.ts'
import type { SessionUnit } from './session-options.ts'

/** Where the connection of a transaction comes from. */
export interface ConnectionSource {
  readonly database: Database
  readonly em: SqlEntityManager
  readonly role: string
  readonly unit: SessionUnit
  /** The transaction before this one, whose end is waited for. */
  readonly after: Predecessor | undefined
}

interface BeginMode {
  /** How it begins; may change until then. */
  readonly begin: BeginOptions
}

/** A database transaction that another one follows. */
export interface Predecessor {
  /** Waits until it is over. */
  whenOver(): Promise<void>
  /** Throws where that would be a wait of the running code for itself. */
  assertNotInside?(): void
}

/**
 * The connection of one database transaction: taken for its first statement, once, and used by one at a time.
 *
 * `unopened` -> `opening` -> `open` -> `ended`; from each of them straight to `ended`. A connection that could not be taken
 * stays `opening`: each further use fails with the same error, since a later BEGIN would begin another transaction.
 */
export class TransactionConnection implements Cancellable {
  readonly #queue = new StatementQueue()
  readonly #source: ConnectionSource
  readonly #mode: BeginMode
  readonly #host: { tooLate(): Error }
  #state: 'unopened' | 'opening' | 'open' | 'ended' = 'unopened'
  #opening: Promise<DatabaseConnection> | undefined
  #connection: DatabaseConnection | undefined
  #cancelling: Cancelling | undefined

  /** `host` makes the error for a use after the end. */
  constructor(source: ConnectionSource, mode: BeginMode, host: { tooLate(): Error }) {
    this.#source = source
    this.#mode = mode
    this.#host = host
  }

  /** Whether a connection was taken, or tried to be. */
  get begun(): boolean {
    return this.#opening !== undefined
  }

  get hasEnded(): boolean {
    return this.#state === 'ended'
  }

  get isCancelled(): boolean {
    return this.#cancelling?.isOver === true
  }

  /** Made for those who ask: most connections are there at once. */
  get cancelling(): Cancelling {
    return (this.#cancelling ??= new Cancelling())
  }

  /** Whether it waits for its connection. */
  get isOpening(): boolean {
    return this.#state === 'opening'
  }

  /** How many uses there have been. */
  get steps(): number {
    return this.#queue.turns
  }

  /** Whether no use is under way. */
  get isIdle(): boolean {
    return !this.#queue.isTaken
  }

  /** Whether a use waits for the one under way. */
  get hasWaiting(): boolean {
    return this.#queue.hasWaiting
  }

  /** Resolves when no use is under way. */
  whenIdle(): Promise<void> | undefined {
    return this.#queue.whenFree()
  }

  /** The connection, as far as it is known without waiting that the database would commit. */
  get isIntact(): boolean {
    const isUsable = this.#state === 'open' && !this.isCancelled && this.isIdle
    return isUsable && this.#connection?.isIntact === true
  }

  /** Waits for a turn to use it, where that is needed; the caller owes `leave`. */
  enter(): Promise<void> | undefined {
    return this.#queue.enter()
  }

  leave(): void {
    this.#queue.leave()
  }

  /** @throws what `tooLate` makes, after the end or where it was cancelled */
  assertOpen(): void {
    if (this.#state === 'ended' || this.isCancelled) throw this.#host.tooLate()
  }

  /** The connection, where it is taken already. */
  get taken(): DatabaseConnection | undefined {
    return this.#connection
  }

  /** Takes the connection. */
  async open(): Promise<DatabaseConnection> {
    if (this.#opening === undefined) {
      this.#state = 'opening'
      const { after } = this.#source
      this.#opening = after === undefined ? this.#take() : this.#takeAfter(after)
    }
    try {
      this.#connection = await this.#opening
    } catch (error) {
      // The wait for it may have been ended.
      if (this.isCancelled) throw this.#host.tooLate()
      throw error
    }
    if (this.#state === 'opening') this.#state = 'open'
    // The wait for the connection may have outlasted the need for it.
    if (this.isCancelled) throw this.#host.tooLate()
    return this.#connection
  }

  async #takeAfter(after: Predecessor): Promise<DatabaseConnection> {
    await after.whenOver()
    return await this.#take()
  }

  /** What is thrown rejects: the failure of the first statement stays that of the transaction. */
  #take(): Promise<DatabaseConnection> {
    const { database, em, role, unit } = this.#source
    try {
      unit.beforeBegin?.(role)
      return database.begin(this.#mode.begin, em, unit, this)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Does `work` with the connection in a turn of its own. */
  async use<T>(work: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const turn = this.enter()
    if (turn !== undefined) await turn
    try {
      this.assertOpen()
      return await work(await this.open())
    } finally {
      this.leave()
    }
  }

  /** Has the database give up the statement on its way; no further one is sent. */
  cancel(): void {
    this.cancelling.cancel()
    this.cancelStatement()
  }

  /** Has the database give up the statement on its way. */
  cancelStatement(): void {
    if (this.#state !== 'ended') this.#connection?.cancel()
  }

  /** Marks the end from within a turn, where the connection itself has ended the transaction. */
  markEnded(): void {
    this.#state = 'ended'
  }

  /** Ends all use, behind what is under way. The first caller gets the connection, if one was taken. */
  end(): DatabaseConnection | Promise<DatabaseConnection | undefined> | undefined {
    if (this.#queue.isTaken || this.#connection === undefined) return this.#endInTurn()
    const connection = this.#state === 'ended' ? undefined : this.#connection
    this.#state = 'ended'
    return connection
  }

  async #endInTurn(): Promise<DatabaseConnection | undefined> {
    const turn = this.#queue.enter()
    if (turn !== undefined) await turn
    const opening = this.#state === 'ended' ? undefined : this.#opening
    this.#state = 'ended'
    this.#queue.leave()
    return await opening
  }

  /** Commits, and gives the connection back. Undefined where nothing was begun, or nothing is left. */
  async commit(decision: string | undefined): Promise<CommitAnswer | undefined> {
    const ending = this.end()
    const connection = ending instanceof Promise ? await ending : ending
    if (connection === undefined) return undefined
    const answer = await connection.commit(decision)
    if (answer.outcome === 'refused') await rollBackAndRelease(connection)
    else {
      const releasing = releaseAfter(answer, connection)
      if (releasing !== undefined) await releasing
    }
    return answer
  }

  /** Prepares; the connection goes with what is prepared, and else back. */
  async prepare(gid: string) {
    const connection = await this.end()
    if (connection?.prepare === undefined) throw this.#host.tooLate()
    const answer = await connection.prepare(gid)
    if (answer.outcome === 'refused') await rollBackAndRelease(connection)
    else if (answer.outcome !== 'prepared') await releaseAfter(answer, connection)
    return { answer, connection }
  }

  /** Rolls back as {@link rollBackAndRelease} does, and then calls `done`; nothing of that where nothing is open. */
  async rollBack(doubt: Doubt | undefined, done: () => void): Promise<void> {
    let connection: DatabaseConnection | undefined
    try {
      connection = await this.end()
    } catch {
      // BEGIN failed, and the first statement with it: nothing is open.
      return
    }
    if (connection === undefined) return
    await rollBackAndRelease(connection, doubt)
    done()
  }
}

/** Gives the connection back after a COMMIT or PREPARE that left no transaction open on it, or closes it. */
export function releaseAfter(
  { outcome }: CommitAnswer | PrepareAnswer,
  connection: DatabaseConnection,
): Promise<void> | undefined {
  return connection.release(outcome === 'unknown' || outcome === 'lost')
}
