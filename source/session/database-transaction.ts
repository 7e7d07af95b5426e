import type { CommitAnswer, DatabaseConnection } from '../database/database.ts'
import { CannotPrepareError, CommitOutcomeUnknownError, ConnectionLostError } from '../database/errors.ts'
import { PreparedTransaction, refusesToPrepare } from '../database/prepared-transaction.ts'
import type { Finish } from '../database/prepared.ts'
import type { WalPosition } from '../database/wal-position.ts'
import { abortedBy } from './failures.ts'
import { NestedScopes } from './nested-scopes.ts'
import type { SessionSettings } from './session-options.ts'
import { traceEnd } from './trace.ts'
import type { TransactionEvents } from './transaction-events.ts'
import type { ConnectionSource, Predecessor, TransactionConnection } from './transaction-connection.ts'
import { TransactionStatements, type TransactionHost } from './transaction-statements.ts'
import type { WrittenThen, WriteState } from './write-state.ts'

/** The class of the error where nobody knows what came of a COMMIT. */
type UnknownOutcome = new (role: string, cause: unknown) => Error

/**
 * The database transaction of one session, with what was written in it: begun by its first statement, once, however many
 * ask at the same time.
 */
export class DatabaseTransaction implements Predecessor {
  readonly statements: TransactionStatements
  readonly #host: TransactionHost
  readonly #connection: TransactionConnection
  #rollingBack: Promise<void> | undefined
  /** Made with the first of them. */
  #nested: NestedScopes | undefined

  constructor(host: TransactionHost, settings: SessionSettings, source: ConnectionSource) {
    this.#host = host
    this.statements = new TransactionStatements(host, settings, source)
    this.#connection = this.statements.connection
  }

  /** What MikroORM's subscribers hear of it. */
  get events(): TransactionEvents {
    return this.statements.events
  }

  /** What was written in it, as far as known. */
  get writes(): WriteState {
    return this.statements.writes
  }

  /** Whether a connection was taken for it, or tried to be. */
  get begun(): boolean {
    return this.#connection.begun
  }

  /** Whether it was committed together with its last statement. */
  get committedEarly(): boolean {
    return this.statements.committedEarly
  }

  /** Whether it has to be committed: something was written, or lost by a failure that was caught. */
  get needsCommit(): boolean {
    return this.writes.state === 'changed' || this.statements.failures.loseWork
  }

  /** Refuses every further statement of the program, which would come between the judgement and the commit. */
  seal(): void {
    this.statements.seal()
  }

  /** Whether a failure keeps it from being committed. */
  get hasFailed(): boolean {
    return this.statements.failures.first() !== undefined
  }

  /** Notes a failure that the database does not know of: `error` is why work at this depth is lost. */
  fail(error: unknown, depth = 0): void {
    this.statements.failures.note(error, depth, true)
  }

  /** Whether it waits for its connection. */
  get isOpening(): boolean {
    return this.#connection.isOpening
  }

  /** How many statements were on their way. */
  get steps(): number {
    return this.#connection.steps
  }

  /** Whether no statement is on its way. */
  get isIdle(): boolean {
    return this.#connection.isIdle
  }

  /** Waits until no statement is on its way. */
  async idle(): Promise<void> {
    await this.#connection.whenIdle()
  }

  // Nested transactions

  /** Opens and ends them. */
  get nested(): NestedScopes {
    return (this.#nested ??= new NestedScopes(this.#host.role, this.statements))
  }

  /** A savepoint of the transaction was rolled back to. */
  goBackTo(written: WrittenThen, leavesTraces: boolean): void {
    this.writes.goBackTo(written, leavesTraces)
    this.statements.failures.undo(0)
  }

  // Cancelling

  /** Has the database give up the statement on its way; no further one is sent. */
  cancel(): void {
    this.#connection.cancel()
  }

  /** Has the database give up the statement on its way. */
  cancelStatement(): void {
    this.#connection.cancelStatement()
  }

  // The end

  /**
   * Makes sure that all that was to be written can be committed; without a promise where that is known.
   * @throws TransactionAbortedError or ConnectionLostError with the first error as cause
   */
  assertCommittable(): Promise<void> | undefined {
    return this.isKnownCommittable ? undefined : this.#askWhetherCommittable()
  }

  /** Whether {@link assertCommittable} would neither wait nor throw. */
  get isKnownCommittable(): boolean {
    if (this.committedEarly) return true
    return !this.hasFailed && (!this.begun || this.#connection.isIntact)
  }

  async #askWhetherCommittable(): Promise<void> {
    const isAborted = this.begun && (await this.#connection.use((connection) => connection.isAborted()))
    if (isAborted || this.hasFailed) throw this.#aborted()
  }

  /**
   * Before the end of one that nobody marked as changed, and without a promise where there is nothing to be asked.
   * @throws as {@link WriteState.settle}
   */
  settleUnmarkedWrites(): Promise<void> | undefined {
    return this.writes.settle((isUndonePartly) =>
      this.#connection.use((connection) => connection.wrote(isUndonePartly)),
    )
  }

  /**
   * Where it is to be committed, sends the event of that, once: whether it did. Subscribers may still do something in it.
   * @throws what they throw
   */
  announceCommit(): Promise<boolean> | undefined {
    const isOpen = this.begun && !this.#connection.hasEnded && !this.hasFailed
    return isOpen ? this.events.announceCommit(this) : undefined
  }

  /**
   * Commits, with a decision written down in it where there is one. Gives the connection back in any case. Does nothing
   * if there was nothing begun, or nothing left.
   * @throws TransactionAbortedError, ConnectionLostError, CommitOutcomeUnknownError, or the driver's error as it is
   */
  async commit(decision?: string): Promise<void> {
    const answer = await this.#answer(decision)
    if (answer === undefined) return
    if (answer.outcome !== 'committed') await this.#notCommitted(answer, CommitOutcomeUnknownError)
    this.statements.noteCommitted(answer.position)
  }

  /** Whether it wrote nothing, and what it has read holds only once it is committed. */
  get needsValidation(): boolean {
    const isOpen = this.begun && !this.#connection.hasEnded
    return isOpen && this.statements.mode.isValidatedByCommit && !this.needsCommit && !this.writes.isToBeUndone
  }

  /**
   * Commits one that only read, which is to be done before anything else is committed: nothing of it is stored. Leaves it to be
   * rolled back where the database says that something was written which nobody declared.
   * @throws as `commit`, and ConnectionLostError where it throws CommitOutcomeUnknownError
   */
  async validate(): Promise<void> {
    if (this.hasFailed) throw this.#aborted()
    const { doubt } = this.writes
    const wrote = (connection: DatabaseConnection) => connection.wrote(doubt?.isUndonePartly === true)
    if (doubt !== undefined && (await this.#connection.use(wrote))) return
    const answer = await this.#answer()
    if (answer === undefined) return
    if (answer.outcome !== 'committed') await this.#notCommitted(answer, ConnectionLostError)
    this.statements.log.commit()
    this.events.markCommitted()
  }

  /** Undefined where there was nothing to commit. */
  #answer(decision?: string): Promise<CommitAnswer | undefined> {
    const details = { how: 'commit', decides: decision !== undefined } as const
    return traceEnd(this.#host, details, () => this.#connection.commit(decision))
  }

  /** @throws `Unknown` where nobody knows whether it was committed, else what kept it from that */
  async #notCommitted(answer: CommitAnswer, Unknown: UnknownOutcome): Promise<never> {
    if (answer.outcome === 'unknown') throw new Unknown(this.#host.role, answer.error)
    const error = 'error' in answer ? answer.error : this.#aborted()
    if (answer.outcome === 'refused') this.statements.log.rollback()
    const telling = this.events.rolledBack()
    if (telling !== undefined) await telling
    throw error
  }

  /**
   * Prepares it under that id: from here on it outlives its connection, and the process. The connection goes with what is
   * prepared, and else back as after a commit.
   * @throws CannotPrepareError, TransactionAbortedError, or the driver's error as it is, when nothing is prepared;
   *   ConnectionLostError when it may be, all the same
   */
  async prepare(gid: string): Promise<PreparedTransaction> {
    const { answer, connection } = await traceEnd(this.#host, { how: 'prepare', gid }, () =>
      this.#connection.prepare(gid),
    )
    if (answer.outcome === 'prepared') {
      this.statements.log.statement(`prepare transaction '${gid}'`)
      return new PreparedTransaction(gid, connection)
    }
    if (answer.outcome !== 'unknown') await this.events.rolledBack()
    switch (answer.outcome) {
      case 'rolled back':
        throw this.#aborted()
      case 'lost':
        throw answer.error
      case 'unknown':
        throw new ConnectionLostError(this.#host.role, answer.error)
      case 'refused':
        throw refusesToPrepare(answer.error) ? new CannotPrepareError(this.#host.role, answer.error) : answer.error
    }
  }

  /** Notes that what was prepared is finished. A commit is heard of when all others are finished as well. */
  async notePreparedEnd(how: Finish, gid: string, position: WalPosition | undefined): Promise<void> {
    this.statements.log.statement(`${how} prepared '${gid}'`)
    if (how === 'rollback') return await this.events.rolledBack()
    this.events.markCommitted()
    this.#host.committed(position)
  }

  /**
   * Rolls back what was begun and gives the connection back; a connection that cannot is closed. Undefined if there was
   * nothing to be done.
   */
  rollback(): Promise<void> | undefined {
    if (this.#rollingBack !== undefined) return this.#rollingBack
    if (this.begun && !this.#connection.hasEnded) {
      return (this.#rollingBack = this.events.hearsRollback ? this.#rollBackHeard() : this.#rollBack())
    }
    this.#connection.markEnded()
    return undefined
  }

  /** Waits until it is rolled back, and not for those who hear of that. */
  async whenOver(): Promise<void> {
    await (this.events.underRollback ?? this.#rollingBack)
  }

  /** @throws SessionEndedError for those who hear that it will be rolled back */
  assertNotInside(): void {
    if (this.events.isInside && !this.#connection.hasEnded) throw this.#host.tooLate()
  }

  #rollBack(): Promise<void> {
    const done = (): void => this.statements.log.rollback()
    return traceEnd(this.#host, { how: 'rollback' }, () => this.#connection.rollBack(this.writes.doubt, done))
  }

  async #rollBackHeard(): Promise<void> {
    const hasBegun = async (): Promise<boolean> => {
      // The connection may be on its way.
      await this.#connection.whenIdle()
      return this.#connection.taken !== undefined
    }
    await this.events.aroundRollback(() => this.#rollBack(), hasBegun)
  }

  #aborted(): Error {
    return abortedBy(this.#host.role, this.statements.failures.first()?.error)
  }
}
