import { setImmediate as turn } from 'node:timers/promises'
import type { EntityManager } from '@mikro-orm/core'
import type { CompiledQuery, Kysely } from 'kysely'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { DataManagerSavepoint } from '../transaction/index.ts'
import { Activity } from './activity.ts'
import {
  sessionCloseChannel,
  sessionOpenChannel,
  type SessionCloseMessage,
  type SessionMessage,
} from './session-channels.ts'
import type { Database, DatabaseConnection, StatementResult } from '../database/database.ts'
import { CommittedTooEarlyError, SessionContextError, SessionEndedError, SessionFailedError } from './errors.ts'
import { flushAndCommit, reportAfterCommit } from './pipelined-commit.ts'
import { forgetScheduled, holdingFlushes } from './flush-in-turn.ts'
import { DatabaseTransaction, type TransactionHost } from './database-transaction.ts'
import { hasChanges } from './has-changes.ts'
import { NestedTransactionEndedError, NestedTransactionOpenError } from './nested-errors.ts'
import { innermost } from './nested-transactions.ts'
import type { PreparedTransaction } from '../database/prepared-transaction.ts'
import { readOnlyKysely } from './read-only-kysely.ts'
import { Rounds } from './rounds.ts'
import type { Scope } from './scopes.ts'
import { scopeOf, sessionKysely, type Execution, type NestingHost, type StatementTarget } from './session-kysely.ts'
import type { SessionOptions, SessionSettings, StatementOrigin } from './session-options.ts'
import type { SessionState } from './session-state.ts'
import { journalOf, savepointIsGone, SessionSavepoints } from './session-savepoints.ts'
import { SessionStreams } from './session-streams.ts'
import { goesBackToSavepoint, type StatementKind } from '../database/statement-kind.ts'
import { rowsOfResult, traceStatement, traceStream, type StatementDetails } from './trace.ts'

const SESSION = Symbol('koa-sqlassist session')

/** The session behind an entity manager, also behind one that a session handed to `em.transactional()`. */
export function sessionOfEntityManager(em: EntityManager): Session | undefined {
  return (em as { [SESSION]?: Session | undefined })[SESSION]
}

/** Makes `session` the one behind `em`. */
export function setSession<EM extends EntityManager>(em: EM, session: Session | undefined): EM {
  ;(em as { [SESSION]?: Session | undefined })[SESSION] = session
  return em
}

const journal = journalOf((em) => sessionOfEntityManager(em)?.savepoints)

/**
 * One role's session in one unit of work: a forked EntityManager whose statements all run in one database transaction,
 * begun by the first of them.
 */
export class Session implements TransactionHost, StatementTarget, NestingHost {
  readonly em: SqlEntityManager
  readonly owner: unknown
  /** The operations of its entity managers that are under way. */
  readonly activity = new Activity()
  readonly #database: Database
  readonly #settings: SessionSettings
  readonly #options: SessionOptions
  readonly #client: Kysely<any> | undefined
  #transaction: DatabaseTransaction
  #ending: string | undefined
  /** Why it cannot be used until the program has rolled it back. */
  #failed: SessionFailedError | undefined
  #cancelled: Error | undefined
  /** The statements that run outside of a transaction, of a role that only reads. */
  readonly #reads: { cancel(): void } | undefined
  /** Called with the error that a use after the end meets. */
  onLateUse: ((error: Error) => void) | undefined
  /** Made with the first stream. */
  #streams: SessionStreams | undefined
  /** Made with the first savepoint. */
  #savepoints: SessionSavepoints | undefined
  /** How many calls of em.transactional() are under way, one inside the other or beside it. */
  #nesting = 0
  /** How often the program committed, where nobody coordinates. */
  #commits = 0
  #doubts = 0
  /** How many statements that go past it are on their way. */
  #passing = 0
  /** The last em.commit() or em.rollback() under way; it never rejects. */
  #endingByHand: Promise<void> | undefined

  /** `fork` becomes the session's entity manager. */
  constructor(fork: SqlEntityManager, database: Database, settings: SessionSettings, options: SessionOptions) {
    this.#database = database
    this.#settings = settings
    this.#options = options
    this.owner = options.owner
    this.em = setSession(fork, this)
    this.#transaction = new DatabaseTransaction(this, settings)
    // With keepSession it may still have the one of the session before.
    fork.resetTransactionContext()
    if (settings.scope === 'transaction') {
      this.#client = fork.getConnection('write').getClient()
      fork.setTransactionContext(sessionKysely(this, this.#client, 'orm'))
    } else if (settings.initialState === 'readonly') {
      if (fork.getTransactionSessionContext() !== undefined) throw new SessionContextError(settings.role)
      const { kysely, reads } = readOnlyKysely(this, database, fork)
      fork.setTransactionContext(kysely)
      this.#reads = reads
    }
    if (sessionOpenChannel.hasSubscribers) sessionOpenChannel.publish(this.facts)
  }

  /** What is told of it on the diagnostics channels. */
  get facts(): SessionMessage {
    const { owner, dbSession } = this.#options
    return { role: this.role, em: this.em, owner, dbSession, state: this.state }
  }

  get role(): string {
    return this.#settings.role
  }

  get state(): SessionState {
    return this.#transaction.writes.state
  }

  get coordinated(): boolean {
    return this.#options.coordinated
  }

  /** Whether MikroORM's own `em.begin()`, `em.commit()` and `em.rollback()` apply: a role that commits every flush. */
  get leavesTransactionsToMikroOrm(): boolean {
    return this.#settings.scope === 'statement' && this.#settings.initialState !== 'readonly'
  }

  /** Its database's connection, where every statement waits for a transaction of MikroORM's. */
  get onlyConnection(): object | undefined {
    return this.#database.dialect === 'sqlite' ? this.em.getDriver().getConnection('write') : undefined
  }

  /**
   * What changes when one of the statements that go past the session may have broken off a transaction; undefined while one is
   * on its way.
   */
  get doubts(): number | undefined {
    return this.#passing > 0 ? undefined : this.#doubts
  }

  /** Notes that statements go past the session, and not even their failure will be known. */
  doubt(): void {
    if (this.#database.dialect === 'postgresql') this.#doubts++
  }

  /** Sends a statement that goes past the session. */
  async noting<T>(send: () => Promise<T>): Promise<T> {
    this.#passing++
    try {
      return await send()
    } catch (error) {
      this.doubt()
      throw error
    } finally {
      this.#passing--
    }
  }

  /** Whether its database transaction was begun. */
  get begun(): boolean {
    return this.#transaction.begun
  }

  get ended(): boolean {
    return this.#ending !== undefined
  }

  /** Whether only em.rollback() is left to the program. */
  get hasFailed(): boolean {
    return this.#failed !== undefined
  }

  /** @throws SessionEndedError, SessionFailedError, or the reason for which it was cancelled */
  assertUsable(): void {
    if (this.#cancelled !== undefined) throw this.#cancelled
    if (this.#failed !== undefined) throw this.#failed
    if (this.#ending === undefined && !this.#transaction.isSealed) return
    const error = this.tooLate()
    this.onLateUse?.(error)
    throw error
  }

  /** Cancels the statement on its way, if any; from here on every use throws `reason`. The session is still to be ended. */
  cancel(reason: Error): void {
    if (this.ended) return
    this.#cancelled = reason
    this.#transaction.cancel()
    this.#reads?.cancel()
    this.#closeStreams()
  }

  /** The same before its end, where nobody waits for it any more: its streams just end. */
  giveUp(ending: string): void {
    this.#settings.background(this.closeStreams(true))
    this.cancel(new SessionEndedError(this.role, ending))
  }

  /** Has the database give up the statement on its way, and nothing else. */
  cancelStatement(): void {
    this.#transaction.cancelStatement()
  }

  /**
   * Declares that this session wrote, so that it is committed.
   * @throws ReadOnlySessionError on a read-only role; SessionEndedError after the end
   */
  markChanged(): void {
    this.assertUsable()
    this.#transaction.writes.markChanged()
  }

  // Statements

  /** @throws ReadOnlySessionError, ManagedSessionError, SessionEndedError before anything is sent; else the driver's error */
  async execute(
    query: CompiledQuery,
    origin: StatementOrigin,
    { signal, scope, isLast }: Execution = {},
  ): Promise<StatementResult> {
    this.assertUsable()
    const transaction = this.#transaction
    const here = this.#depthHere(scope)
    try {
      return await transaction.exclusive(
        (connection) => {
          const send = () => this.#send(transaction, connection, query, origin, here, isLast)
          return traceStatement(this, query, () => detailsOf(connection), send, rowsOfResult)
        },
        here,
        signal,
      )
    } catch (error) {
      if (error instanceof SessionEndedError) this.onLateUse?.(error)
      throw error
    }
  }

  #send(
    transaction: DatabaseTransaction,
    connection: DatabaseConnection,
    query: CompiledQuery,
    origin: StatementOrigin,
    depth: number,
    isLast: Execution['isLast'],
  ): Promise<StatementResult> {
    const { sql, parameters } = query
    const kind = connection.kindOf(sql)
    transaction.writes.admit(kind, query, origin)
    if (isLast !== undefined && kind === 'write' && parameters.length === 0 && isLast()) {
      return transaction.executeLast(connection, sql)
    }
    const executing = connection.execute(sql, parameters)
    return goesBackToSavepoint(sql)
      ? executing.then((result) => (transaction.forgetFailedStatements(depth), result))
      : executing
  }

  stream(
    query: CompiledQuery,
    chunkSize: number,
    origin: StatementOrigin,
    scope: Scope | undefined,
  ): AsyncIterable<unknown[]> {
    return this.track(this.#stream(query, chunkSize, origin, scope))
  }

  async *#stream(
    query: CompiledQuery,
    chunkSize: number,
    origin: StatementOrigin,
    scope: Scope | undefined,
  ): AsyncIterable<unknown[]> {
    this.assertUsable()
    const transaction = this.#transaction
    const depth = transaction.depthOf(scope)
    const exclusive = <T>(work: (connection: DatabaseConnection) => Promise<T>) => transaction.exclusive(work, depth)
    const connection = await exclusive(async (opened) => opened)
    const chunks = this.#chunks(transaction, connection, query, chunkSize, origin, depth)
    yield* traceStream(
      this,
      query,
      () => detailsOf(connection),
      chunks,
      (rows) => rows.length,
    )
  }

  /** Over the connection of `transaction`, which is somebody else's when that is over. */
  async *#chunks(
    transaction: DatabaseTransaction,
    connection: DatabaseConnection,
    query: CompiledQuery,
    chunkSize: number,
    origin: StatementOrigin,
    depth: number,
  ): AsyncIterable<unknown[]> {
    transaction.writes.admit(connection.kindOf(query.sql), query, origin)
    yield* connection.stream(query.sql, query.parameters, chunkSize, (work) => transaction.exclusive(work, depth))
  }

  /** Makes `rows` a stream of this session's, which ends with it. */
  track<Row>(rows: AsyncIterable<Row>, em?: object): AsyncIterableIterator<Row> {
    this.#streams ??= new SessionStreams(() => this.#refuseRows())
    return this.#streams.add(rows, em)
  }

  /** Closes the streams that were opened by the entity manager of a nested transaction, which ends. */
  async closeStreamsOf(em: object): Promise<void> {
    await this.#streams?.closeThoseOf(em)
  }

  async #refuseRows(): Promise<never> {
    const error = this.#cancelled ?? this.tooLate()
    if (this.onLateUse === undefined) throw error
    this.onLateUse(error)
    // What the rows are piped through is destroyed meanwhile, from its end to them.
    await turn()
    throw error
  }

  /** Whether a stream of this session's has a connection. */
  get streams(): boolean {
    return this.#streams?.underWay === true
  }

  /** Closes the streams under way. `quietly`: nobody waits for their rows any more, so that they just end. */
  async closeStreams(quietly?: boolean): Promise<void> {
    await this.#streams?.close(quietly)
  }

  #closeStreams(): void {
    if (this.#streams?.isEmpty === false) this.#settings.background(this.#streams.close())
  }

  /** Lets a statement pass, or refuses it. @throws as {@link WriteState.admit} */
  admit(kind: StatementKind, query: CompiledQuery, origin: StatementOrigin): void {
    this.#transaction.writes.admit(kind, query, origin)
  }

  /** In how many nested transactions a statement of `scope` is: those count that the running code was called in. */
  #depthHere(scope: Scope | undefined): number {
    const depth = this.#transaction.depthOf(scope)
    if (this.#nesting === 0) return depth
    const called = scopeOf(innermost(this, this.em).getTransactionContext())
    return called === scope ? depth : Math.max(depth, this.#transaction.depthOf(called))
  }

  // Nested transactions

  /**
   * Does `work`, a call of em.transactional(). As long as it is under way, the session can neither be committed nor go back
   * to a savepoint, which would take half of it.
   */
  async nest<T>(work: () => Promise<T>): Promise<T> {
    this.#nesting++
    try {
      return await work()
    } finally {
      this.#nesting--
    }
  }

  /** @throws NestedTransactionOpenError while em.transactional() is under way */
  assertNotNested(what: string): void {
    if (this.#nesting > 0) throw new NestedTransactionOpenError(this.role, what)
  }

  /** For MikroORM's nested transactions: makes their savepoint. */
  async openNested(name: string, outer: Scope | undefined): Promise<Scope | undefined> {
    if (this.#settings.scope === 'statement') return undefined
    this.assertUsable()
    return await this.#transaction.openScope(name, outer)
  }

  async releaseNested(scope: Scope | undefined): Promise<void> {
    if (scope === undefined) return
    this.assertUsable()
    await this.#transaction.releaseScope(scope)
  }

  async rollBackNested(scope: Scope | undefined): Promise<void> {
    if (scope === undefined) return
    // What is under way in it would come after its rollback, and stay.
    try {
      for (const rounds = new Rounds(this.role); !this.#isIdle; rounds.next()) await this.#idle()
    } finally {
      await this.#transaction.rollBackScope(scope)
    }
  }

  /** What the session remembers for its savepoints, if it has any. */
  get savepoints(): SessionSavepoints | undefined {
    return this.#savepoints
  }

  /** The same, made if there is none yet. */
  remembering(): SessionSavepoints {
    return (this.#savepoints ??= new SessionSavepoints(this.em, this.role, journal))
  }

  /**
   * The present state as something to go back to: flushes, and sends a savepoint unless nothing was sent yet, when going
   * back means to send nothing.
   * @throws NestedTransactionOpenError inside em.transactional(), also from the rollback; TransactionAbortedError; what
   *   the flush throws
   */
  async savepoint(): Promise<DataManagerSavepoint> {
    const rounds = new Rounds(this.role)
    do {
      rounds.next()
      await this.#idle()
      await this.assertCommittable()
      await this.flush()
    } while (!this.#isIdle)
    this.refuseNested('txn.savepoint()')
    const transaction = this.#transaction
    const name = transaction.begun ? this.remembering().newName() : undefined
    // In one go with the savepoint's place among the statements.
    const wayBack = this.#wayBackTo(name)
    if (name !== undefined) await transaction.exclusive((connection) => connection.execute(`savepoint ${name}`, []))
    return wayBack
  }

  /** The state as the session was opened: it has sent nothing. */
  savepointAtJoin(): DataManagerSavepoint {
    return this.#wayBackTo(undefined)
  }

  #wayBackTo(name: string | undefined): DataManagerSavepoint {
    const savepoints = this.remembering()
    const transaction = this.#transaction
    const snapshot = savepoints.take()
    const written = transaction.writes.now()
    const commits = this.#commits
    const rollback = async (): Promise<void> => {
      const rounds = new Rounds(this.role)
      for (; !this.#isIdle; rounds.next()) await this.#idle()
      this.refuseNested('The rollback of a savepoint')
      if (commits !== this.#commits || (name !== undefined && transaction !== this.#transaction)) {
        throw savepointIsGone(this.role)
      }
      // What is flushed from here on comes behind the rollback, and is not of what that undoes.
      const undone =
        name === undefined
          ? this.#startOver()
          : transaction.exclusive((connection) => connection.execute(`rollback to ${name}`, []))
      this.#transaction.goBackTo(written, name !== undefined)
      await Promise.all([undone, holdingFlushes(this.em, savepoints.restore(snapshot))])
    }
    return { rollback }
  }

  // Flushing

  flush(): Promise<void> {
    return this.em.flush()
  }

  /**
   * A flush of one of its entity managers has failed, and MikroORM forgot what else it was to write. So the session cannot be
   * committed, as if nothing was lost; where every flush commits, it can only be rolled back.
   */
  noteFailedFlush(error: unknown, context: Kysely<any> | undefined): void {
    if (this.ended || this.state === 'readonly') return
    if (this.leavesTransactionsToMikroOrm) this.#fail(error)
    else if (!(error instanceof NestedTransactionEndedError))
      this.#transaction.fail(error, this.#depthHere(scopeOf(context)))
  }

  /** Whether no operation and no statement of it is under way. */
  get isQuiet(): boolean {
    return this.activity.count === 0 && this.#transaction.isIdle
  }

  /** The same, and nothing is left to be flushed. */
  get isSettled(): boolean {
    return this.isQuiet && !hasChanges(this.em)
  }

  /** Waits for what is under way, and flushes what is left. Whether that wrote anything, which may lead to more changes. */
  async settle(): Promise<boolean> {
    const { writes } = this.#transaction
    const { version } = writes
    await this.#idle()
    const isFlushed = hasChanges(this.em)
    if (isFlushed) await this.flush()
    // What MikroORM commits by itself goes past the session.
    return writes.version !== version || (isFlushed && this.leavesTransactionsToMikroOrm)
  }

  /** Waits until no operation and no statement is under way; without a promise where that is so. */
  idle(): Promise<void> | undefined {
    return this.#isIdle ? undefined : this.#idle()
  }

  /** The same, and until what it commits by itself is committed, or not. */
  async settled(): Promise<void> {
    while (this.#endingByHand !== undefined) await this.#endingByHand
    await this.#idle()
  }

  /** Whether nothing is under way that the running code could wait for. */
  get #isIdle(): boolean {
    return this.activity.isInside || this.isQuiet
  }

  async #idle(): Promise<void> {
    // A hook of a flush would wait for itself; MikroORM refuses a flush from there.
    if (this.activity.isInside) return
    // What was waited for may have been waited for by others, who go on now.
    for (const rounds = new Rounds(this.role); !this.#isIdle; rounds.next()) {
      await this.activity.idle()
      await this.#transaction.idle()
    }
  }

  // The commit by a transaction manager

  /**
   * The flush of a commit in which nobody else takes part. Where it is one statement, COMMIT goes along with it.
   * @throws CommitOutcomeUnknownError, or what the flush throws, when nothing was committed
   */
  async flushAndCommit(): Promise<void> {
    const client = this.#client
    if (client === undefined || this.#transaction.hasFailed) return await this.flush()
    try {
      await flushAndCommit(this.em, (nothingElse) =>
        // One operation is under way, this flush.
        sessionKysely(this, client, 'orm', () => this.activity.count === 1 && nothingElse()),
      )
    } catch (error) {
      // Given up by a signal, it may still be on its way.
      await this.#transaction.idle()
      this.#transaction.assertOutcomeKnown()
      if (!this.committedEarly) throw error
      if (error instanceof SessionEndedError) throw new CommittedTooEarlyError(this.role, error)
      reportAfterCommit(this.role, error)
    }
  }

  /** Whether it was committed together with its last statement. */
  get committedEarly(): boolean {
    return this.#transaction.committedEarly
  }

  /** Refuses every further statement of the program, which would come between the judgement and the commit. */
  seal(): void {
    this.#transaction.seal()
  }

  /** Whether it has to be committed: something was written, or lost by a failure that was caught. */
  get needsCommit(): boolean {
    return this.#transaction.needsCommit
  }

  /** @throws as {@link DatabaseTransaction.assertCommittable} */
  assertCommittable(): Promise<void> | undefined {
    return this.#transaction.assertCommittable()
  }

  /** @throws SessionFailedError where only em.rollback() is left */
  assertNotFailed(): void {
    if (this.#failed !== undefined) throw this.#failed
  }

  /**
   * Commits the database transaction, with a decision written down in it where there is one.
   * @throws as {@link DatabaseTransaction.commit}
   */
  commitDatabase(decision?: string): Promise<void> {
    return this.#transaction.commit(decision)
  }

  /** @throws as {@link DatabaseTransaction.prepare} */
  async prepareDatabase(gid: string): Promise<PreparedTransaction> {
    return await this.#transaction.prepare(gid)
  }

  /** Before the end of a session that nobody marked as changed. @throws as {@link WriteState.settle} */
  settleUnmarkedWrites(): Promise<void> | undefined {
    return this.#transaction.settleUnmarkedWrites()
  }

  // The commit of a session that nobody coordinates

  /** Flushes and commits, or rolls back what did not change: the whole of a commit for a session nobody coordinates. */
  async commitAlone(): Promise<void> {
    await this.#ownEnding(() => this.#commitAtEnd())
  }

  async #commitAtEnd(): Promise<void> {
    this.assertUsable()
    try {
      const rounds = new Rounds(this.role)
      for (await this.#flushAll(); !this.#isIdle; rounds.next()) await this.#flushAll()
      this.assertNotNested('The end of its request or run')
      this.seal()
      await this.#finish(this.#transaction)
    } finally {
      await this.#rollBack(this.#transaction)
    }
  }

  async #finish(transaction: DatabaseTransaction): Promise<void> {
    try {
      if (!transaction.needsCommit) await transaction.settleUnmarkedWrites()
      if (!transaction.needsCommit) return
      await transaction.assertCommittable()
      await transaction.commit()
    } finally {
      await this.#rollBack(transaction)
    }
  }

  /** `em.commit()` where nobody coordinates. What comes meanwhile is in the next transaction. */
  async commitAndContinue(): Promise<void> {
    await this.#ownEnding(async () => await this.#commitByHand())
  }

  async #commitByHand(): Promise<void> {
    this.refuseNested('em.commit()')
    try {
      const rounds = new Rounds(this.role)
      for (await this.#flushAll(); !this.#isIdle; rounds.next()) await this.#flushAll()
      this.assertNotNested('em.commit()')
      await this.#commitAndReplace()
    } catch (error) {
      // It was refused, and nothing of the session is lost.
      const isRefusal = error instanceof NestedTransactionOpenError || error instanceof SessionEndedError
      if (!isRefusal) this.#fail(error)
      throw error
    }
  }

  async #commitAndReplace(): Promise<void> {
    const finished = this.#transaction
    // Its unit commits it at this moment.
    if (finished.isSealed) throw this.tooLate()
    finished.seal()
    const committing = this.#finish(finished)
    this.#commits++
    this.#replaceTransaction(committing.catch(() => undefined))
    await committing
  }

  async #flushAll(): Promise<void> {
    await this.#idle()
    await this.flush()
    for (const rounds = new Rounds(this.role); !this.#isIdle || hasChanges(this.em); rounds.next()) {
      if (!(await this.settle()) && this.#isIdle) return
    }
  }

  /** `em.rollback()`: this session alone; it stays joined and usable, and forgets what it had loaded. */
  async rollbackAndContinue(): Promise<void> {
    await this.#ownEnding(async () => await this.#rollBackByHand())
  }

  /** One em.commit() or em.rollback() after the other, in the order in which they were called. */
  async #ownEnding(end: () => Promise<void>): Promise<void> {
    const ahead = this.activity.isInside ? undefined : this.#endingByHand
    const ending = ahead === undefined ? end() : ahead.then(end)
    const over = ending.catch(() => undefined)
    this.#endingByHand = over
    try {
      await ending
    } finally {
      if (this.#endingByHand === over) this.#endingByHand = undefined
    }
  }

  async #rollBackByHand(): Promise<void> {
    // A flush that goes on would be in the next transaction.
    for (const rounds = new Rounds(this.role); this.#failed === undefined && !this.#isIdle; rounds.next())
      await this.#idle()
    if (this.#failed === undefined) this.refuseNested('em.rollback()')
    else this.assertNotNested('em.rollback()')
    this.#failed = undefined
    this.#forget()
    this.#savepoints?.forgetStrays()
    await this.#startOver()
  }

  /** From here on it can only be rolled back: what is in memory is not what the database holds. */
  #fail(error: unknown): void {
    if (this.#failed !== undefined || this.ended) return
    this.#failed = new SessionFailedError(this.role, error)
    this.#settings.background(this.#startOver())
  }

  async #startOver(): Promise<void> {
    const rollback = this.#transaction.rollback()
    this.#replaceTransaction(rollback)
    await rollback
  }

  #replaceTransaction(after: Promise<void> | undefined): void {
    this.#transaction = new DatabaseTransaction(this, this.#settings, after)
  }

  // The end

  /** Rolls the database transaction back and gives the connection back; what was not begun costs nothing. */
  rollbackDatabase(): Promise<void> | undefined {
    return this.#rollBack(this.#transaction)
  }

  #rollBack(transaction: DatabaseTransaction): Promise<void> | undefined {
    const rollback = transaction.rollback()
    // Nobody has to wait for the end of plain reads.
    if (rollback === undefined || transaction.writes.mayHoldLocks) return rollback
    this.#settings.background(rollback)
    return undefined
  }

  /** Ends the session, what it did being committed: from here on every use of it throws and says `ending`. */
  end(ending: string): void {
    if (!this.#settings.keepSession) this.#forget()
    this.#end(ending)
  }

  /** Ends the session without a commit, since nothing of it is to be committed. */
  async endUnchanged(ending: string): Promise<void> {
    // Raw SQL that nobody declared is undone, and what was read since may have seen it.
    if (this.#transaction.writes.version > 0) return await this.abandon(ending)
    const rollback = this.rollbackDatabase()
    this.end(ending)
    await rollback
  }

  /**
   * Rolls back and ends the session, which then knows nothing that was not committed. Carries out an em.commit() first that was
   * called before: its caller waits for the answer.
   */
  async abandon(ending: string): Promise<void> {
    while (this.#endingByHand !== undefined && !this.activity.isInside) await this.#endingByHand
    if (this.ended) return
    const rollback = this.rollbackDatabase()
    this.#forget()
    this.#end(ending)
    await rollback
  }

  /** Not em.clear(), which is refused where the session is cancelled or has failed. */
  #forget(): void {
    if (this.ended) return
    this.em.getUnitOfWork(false).clear()
    forgetScheduled(this.em)
  }

  #end(ending: string): void {
    if (this.#ending !== undefined) return
    this.#cancelled = undefined
    this.#failed = undefined
    this.#savepoints = undefined
    this.#ending = ending
    this.#closeStreams()
    if (sessionCloseChannel.hasSubscribers) {
      sessionCloseChannel.publish({ ...this.facts, reason: ending } satisfies SessionCloseMessage)
    }
  }

  /** @throws NestedTransactionOpenError while em.transactional() is under way; as {@link assertUsable} */
  refuseNested(what: string): void {
    this.assertUsable()
    this.assertNotNested(what)
  }

  /** For its transaction. What is thrown rejects, so that the failure stays. */
  async begin(): Promise<DatabaseConnection> {
    this.#options.beforeBegin?.()
    return await this.#database.begin(this.#settings.begin, this.em)
  }

  /** For its transaction. */
  tooLate(): SessionEndedError {
    return new SessionEndedError(this.role, this.#ending ?? 'its database transaction is over')
  }

  /** For its transaction, and for statements that commit by themselves. */
  committed(): void {
    this.#options.committed?.(this.role)
  }
}

function detailsOf({ isFresh, backend }: DatabaseConnection): StatementDetails {
  return { inTransaction: true, begins: isFresh, backend }
}
