import { SqlassistError } from '../transaction/index.ts'
import type { CommitAnswer, DatabaseConnection, PrepareAnswer, StatementResult } from '../database/database.ts'
import {
  CannotPrepareError,
  CommitOutcomeUnknownError,
  ConnectionLostError,
  TransactionAbortedError,
} from '../database/errors.ts'
import { UndoneFromOutsideError } from './errors.ts'
import { Failures } from './failures.ts'
import { PreparedTransaction, refusesToPrepare } from '../database/prepared-transaction.ts'
import { rollBackAndRelease } from '../database/roll-back-and-release.ts'
import { Scopes, type Scope } from './scopes.ts'
import type { SessionSettings } from './session-options.ts'
import { traceEnd, type Traceable } from './trace.ts'
import { StatementQueue } from '../database/statement-queue.ts'
import { WriteState, type WrittenThen } from './write-state.ts'

/** What it needs of its session. */
export interface TransactionHost extends Traceable {
  readonly role: string
  /** Takes a connection. */
  begin(): Promise<DatabaseConnection>
  /** The error for a statement that comes when it is over. */
  tooLate(): Error
  /** A COMMIT was carried out. */
  committed(): void
}

/**
 * The database transaction of one session, with what was written in it: begun by its first statement, once, however many
 * ask at the same time. A BEGIN that failed stays failed for all of them; a later one would begin another transaction.
 */
export class DatabaseTransaction {
  /** What was written in it, as far as known. */
  readonly writes: WriteState
  readonly #host: TransactionHost
  /** The end of the transaction before this one, on the same session. */
  readonly #after: Promise<void> | undefined
  readonly #queue = new StatementQueue()
  readonly #failures = new Failures()
  readonly #scopes: Scopes
  #opening: Promise<DatabaseConnection> | undefined
  #connection: DatabaseConnection | undefined
  #sealed = false
  #ended = false
  #cancelled = false
  /** What came of a COMMIT that went along with the last statement, where one did. */
  #earlyAnswer: CommitAnswer | undefined

  constructor(host: TransactionHost, settings: SessionSettings, after?: Promise<void>) {
    this.#host = host
    this.writes = new WriteState(settings)
    this.#scopes = new Scopes(host.role)
    this.#after = after
  }

  /** Whether a connection was taken for it, or tried to be. */
  get begun(): boolean {
    return this.#opening !== undefined
  }

  /** Whether it was committed together with its last statement. */
  get committedEarly(): boolean {
    return this.#earlyAnswer?.outcome === 'committed'
  }

  /** Whether it has to be committed: something was written, or lost by a failure that was caught. */
  get needsCommit(): boolean {
    return this.writes.state === 'changed' || this.#failures.loseWork
  }

  /** Whether a failure keeps it from being committed. */
  get hasFailed(): boolean {
    return this.#failures.first() !== undefined
  }

  /** Notes a failure which the database does not know of: `error` is why work at this depth is lost. */
  fail(error: unknown, depth = 0): void {
    this.#failures.note(error, depth, true)
  }

  /**
   * Runs a statement of the program at this depth of nested transactions, while no other is on its way; not where `signal` was
   * aborted meanwhile.
   */
  async exclusive<T>(
    work: (connection: DatabaseConnection) => Promise<T>,
    depth = 0,
    signal?: AbortSignal,
  ): Promise<T> {
    const turn = this.#queue.enter()
    if (turn !== undefined) await turn
    const { version } = this.writes
    try {
      if (this.#ended || this.#cancelled || this.#sealed) throw this.#host.tooLate()
      const connection = this.#connection ?? (await this.#open())
      // It may have waited for the connection.
      return signal?.aborted === true ? (signal.throwIfAborted() as never) : await work(connection)
    } catch (error) {
      // What was refused here never reached the database.
      const isSent = !(error instanceof SqlassistError) && !(signal?.aborted === true && error === signal.reason)
      if (isSent) this.#failures.note(error, depth, false)
      throw error
    } finally {
      if (this.writes.version !== version) this.#noteWriteAt(depth)
      this.#queue.leave()
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.enter()
    if (turn !== undefined) await turn
    try {
      if (this.#ended || this.#cancelled) throw this.#host.tooLate()
      return await work()
    } finally {
      this.#queue.leave()
    }
  }

  async #open(): Promise<DatabaseConnection> {
    this.#opening ??= this.#begin()
    this.#connection = await this.#opening
    // The connection may have been waited for, and what was to be done with it be moot by now.
    if (this.#cancelled) throw this.#host.tooLate()
    return this.#connection
  }

  #begin(): Promise<DatabaseConnection> {
    return this.#after === undefined ? this.#host.begin() : this.#after.then(() => this.#host.begin())
  }

  /** Whether no statement is on its way. */
  get isIdle(): boolean {
    return !this.#queue.isTaken
  }

  /** Waits until no statement is on its way. */
  async idle(): Promise<void> {
    await this.#queue.whenFree()
  }

  /** Whether it takes no further statement of the program. */
  get isSealed(): boolean {
    return this.#sealed
  }

  /** Refuses every further statement of the program. What it holds is about to be committed or rolled back. */
  seal(): void {
    this.#sealed = true
  }

  // Nested transactions

  /** Opens a nested transaction in `outer`: a savepoint of MikroORM's, called `name`. */
  async openScope(name: string, outer: Scope | undefined): Promise<Scope> {
    return await this.exclusive(async (connection) => {
      await connection.execute(`savepoint ${name}`, [])
      return this.#scopes.open(name, outer, this.writes.now())
    }, this.depthOf(outer))
  }

  /** @throws TransactionAbortedError when something failed in it, which the database may not know of */
  async releaseScope(scope: Scope): Promise<void> {
    const depth = this.depthOf(scope)
    const failure = this.#failures.first(depth)
    if (failure !== undefined) throw this.#aborted(failure.error)
    await this.exclusive(async (connection) => await connection.execute(`release ${scope.name}`, []), depth)
    this.#scopes.end(scope)
  }

  /** Undoes what was done and what failed in it. Where all is over, or the one around it is, it is undone already. */
  async rollBackScope(scope: Scope): Promise<void> {
    if (!this.#scopes.isOpen(scope)) return
    const depth = this.depthOf(scope)
    this.#scopes.end(scope)
    if (this.#ended || this.#sealed || this.#cancelled) return
    const undoing = this.exclusive(
      async (connection) => await connection.execute(`rollback to ${scope.name}`, []),
      depth,
    )
    // The nested transaction waits for its answer.
    void scope.undo?.()
    await undoing
    this.#failures.undo(depth)
    this.writes.goBackTo(scope.written, true)
    if (scope.holdsOthersWrites) this.fail(new UndoneFromOutsideError(this.#host.role), depth - 1)
  }

  /** In how many nested transactions a statement of `scope` is. @throws as {@link Scopes.depthOf} */
  depthOf(scope: Scope | undefined): number {
    return this.#scopes.depthOf(scope)
  }

  /** A statement of an outer level is undone with every nested transaction that is open meanwhile. */
  #noteWriteAt(depth: number): void {
    for (const scope of this.#scopes.deeperThan(depth)) scope.holdsOthersWrites = true
  }

  /** The program has rolled back to a savepoint of its own: the statements that failed since are undone. */
  forgetFailedStatements(depth: number): void {
    this.#failures.forgetStatements(depth)
  }

  /** A savepoint of the transaction was rolled back to. */
  goBackTo(written: WrittenThen, leavesTraces: boolean): void {
    this.writes.goBackTo(written, leavesTraces)
    this.#failures.undo(0)
  }

  // Cancelling

  /** Has the database give up the statement on its way, which is rejected then; what is not sent yet is not sent. */
  cancel(): void {
    this.#cancelled = true
    this.cancelStatement()
  }

  /** Has the database give up the statement on its way. */
  cancelStatement(): void {
    if (!this.#ended) this.#connection?.cancel()
  }

  // The end

  /**
   * From within `exclusive`: the last statement, with COMMIT behind it unless another waits for its turn. Then it is over,
   * and the connection given back.
   * @throws CommitOutcomeUnknownError; the driver's error when nothing was committed
   */
  async executeLast(connection: DatabaseConnection, sql: string): Promise<StatementResult> {
    if (connection.executeAndCommit === undefined || this.#queue.hasWaiting) return await connection.execute(sql, [])
    const { result, answer } = await connection.executeAndCommit(sql)
    if (answer === undefined) return result
    this.#ended = true
    this.#earlyAnswer = answer
    const releasing = releaseAfter(answer, connection)
    if (releasing !== undefined) await releasing
    this.assertOutcomeKnown()
    this.#host.committed()
    return result
  }

  /** @throws CommitOutcomeUnknownError where the answer to an early COMMIT was lost */
  assertOutcomeKnown(): void {
    if (this.#earlyAnswer?.outcome === 'unknown') {
      throw new CommitOutcomeUnknownError(this.#host.role, this.#earlyAnswer.error)
    }
  }

  /**
   * Makes sure that all that was to be written can be committed; without a promise where that is known.
   * @throws TransactionAbortedError or ConnectionLostError with the first error as cause
   */
  assertCommittable(): Promise<void> | undefined {
    if (this.committedEarly) return undefined
    const failure = this.#failures.first()
    if (failure === undefined && !this.begun) return undefined
    const isIdle = failure === undefined && !this.#ended && !this.#cancelled && !this.#queue.isTaken
    return isIdle && this.#connection?.isIntact === true ? undefined : this.#askWhetherCommittable()
  }

  async #askWhetherCommittable(): Promise<void> {
    const isAborted = this.begun && (await this.#inTurn(async () => await (await this.#open()).isAborted()))
    if (isAborted || this.hasFailed) throw this.#aborted()
  }

  /**
   * Before the end of one that nobody marked as changed, and without a promise where there is nothing to be asked.
   * @throws as {@link WriteState.settle}
   */
  settleUnmarkedWrites(): Promise<void> | undefined {
    return this.writes.settle(() => this.#inTurn(async () => await (await this.#open()).wrote()))
  }

  /**
   * Commits, with a decision written down in it where there is one, and gives the connection back whatever comes of it. Does
   * nothing if there was nothing begun, or nothing left.
   * @throws TransactionAbortedError, ConnectionLostError, CommitOutcomeUnknownError, or the driver's error as it is
   */
  async commit(decision?: string): Promise<void> {
    const details = { how: 'commit', decides: decision !== undefined } as const
    const answer = await traceEnd(this.#host, details, () => this.#commit(decision))
    const { role } = this.#host
    if (answer === undefined) return
    if (answer.outcome === 'rolled back') throw this.#aborted()
    if (answer.outcome === 'lost' || answer.outcome === 'refused') throw answer.error
    if (answer.outcome === 'unknown') throw new CommitOutcomeUnknownError(role, answer.error)
    this.#host.committed()
  }

  async #commit(decision: string | undefined): Promise<CommitAnswer | undefined> {
    const ending = this.#end()
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

  /**
   * Prepares it under that id: from here on it outlives its connection, and the process. The connection goes with what is
   * prepared, and else back as after a commit.
   * @throws CannotPrepareError, TransactionAbortedError, or the driver's error as it is, when nothing is prepared;
   *   ConnectionLostError when it may be, all the same
   */
  async prepare(gid: string): Promise<PreparedTransaction> {
    const { role } = this.#host
    const { answer, connection } = await traceEnd(this.#host, { how: 'prepare', gid }, () => this.#prepare(gid))
    switch (answer.outcome) {
      case 'prepared':
        return new PreparedTransaction(gid, connection)
      case 'rolled back':
        throw this.#aborted()
      case 'lost':
        throw answer.error
      case 'unknown':
        throw new ConnectionLostError(role, answer.error)
      case 'refused':
        throw refusesToPrepare(answer.error) ? new CannotPrepareError(role, answer.error) : answer.error
    }
  }

  async #prepare(gid: string) {
    const connection = await this.#end()
    if (connection?.prepare === undefined) throw this.#host.tooLate()
    const answer = await connection.prepare(gid)
    if (answer.outcome === 'refused') await rollBackAndRelease(connection)
    else if (answer.outcome !== 'prepared') await releaseAfter(answer, connection)
    return { answer, connection }
  }

  /**
   * Rolls back what was begun and gives the connection back; a connection that cannot is closed. Undefined if there was
   * nothing to be done.
   */
  rollback(): Promise<void> | undefined {
    if (this.begun && !this.#ended) return traceEnd(this.#host, { how: 'rollback' }, () => this.#rollBack())
    this.#ended = true
    return undefined
  }

  async #rollBack(): Promise<void> {
    let connection: DatabaseConnection | undefined
    try {
      connection = await this.#end()
    } catch {
      return // BEGIN failed, as whoever sent the first statement was told: nothing is open.
    }
    if (connection !== undefined) await rollBackAndRelease(connection)
  }

  /** Refuses any further statement, and hands out the connection to whoever comes first. */
  #end(): DatabaseConnection | Promise<DatabaseConnection | undefined> | undefined {
    if (this.#queue.isTaken || this.#connection === undefined) return this.#endInTurn()
    const connection = this.#ended ? undefined : this.#connection
    this.#ended = true
    return connection
  }

  /** Behind the statements under way. */
  async #endInTurn(): Promise<DatabaseConnection | undefined> {
    const turn = this.#queue.enter()
    if (turn !== undefined) await turn
    const opening = this.#ended ? undefined : this.#opening
    this.#ended = true
    this.#queue.leave()
    return await opening
  }

  get #firstError(): unknown {
    return this.#failures.first()?.error
  }

  #aborted(cause: unknown = this.#firstError): TransactionAbortedError {
    return new TransactionAbortedError(this.#host.role, cause)
  }
}

/** Gives the connection back after a COMMIT or PREPARE that left no transaction open on it, or closes it. */
function releaseAfter(
  { outcome }: CommitAnswer | PrepareAnswer,
  connection: DatabaseConnection,
): Promise<void> | undefined {
  return connection.release(outcome === 'unknown' || outcome === 'lost')
}
