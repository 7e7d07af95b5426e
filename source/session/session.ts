import { setImmediate as turn } from 'node:timers/promises'
import type { CompiledQuery, Kysely } from 'kysely'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { DataManagerSavepoint } from '../transaction/index.ts'
import { sessionCloseChannel, sessionOpenChannel, type SessionCloseMessage, type SessionMessage } from './channels.ts'
import type { Database, DatabaseLink, StatementResult } from './database-link.ts'
import { CommittedTooEarlyError, SessionContextError, SessionEndedError } from './errors.ts'
import { flushAndCommit, reportAfterCommit } from './flush-and-commit.ts'
import { DatabaseTransaction, type TransactionHost } from './database-transaction.ts'
import type { PreparedTransaction } from './prepared-transaction.ts'
import { readOnlyKysely } from './read-only-kysely.ts'
import { setSession } from './session-binding.ts'
import { sessionKysely, type StatementOrigin } from './session-kysely.ts'
import type { Execution, SessionOptions, SessionSettings } from './session-options.ts'
import type { SessionState } from './session-state.ts'
import { NestedTransactionOpenError, savepointIsGone, SessionSavepoints } from './session-savepoints.ts'
import { SessionStreams } from './session-streams.ts'
import type { StatementKind } from './statement-kind.ts'
import { rowsOfResult, traceStatement, traceStream, type StatementDetails } from './trace.ts'
import { WriteState } from './write-state.ts'

/**
 * One role's session in one unit of work: a forked EntityManager whose statements all run in one database transaction,
 * begun by the first of them.
 */
export class Session implements TransactionHost {
  readonly em: SqlEntityManager
  readonly owner: unknown
  readonly #database: Database
  readonly #settings: SessionSettings
  readonly #options: SessionOptions
  readonly #client: Kysely<any> | undefined
  #transaction: DatabaseTransaction
  #writes: WriteState
  #ending: string | undefined
  #cancelled: Error | undefined
  /** Cancels statements that run by themselves, outside of a transaction. */
  onCancel: { cancel(): void } | undefined
  /** Called with the error that a use after the end meets. */
  onLateUse: ((error: Error) => void) | undefined
  #rawContext: Kysely<any> | undefined
  /** Made with the first stream. */
  #streams: SessionStreams | undefined
  /** Made with the first savepoint. */
  #savepoints: SessionSavepoints | undefined
  /** How many of MikroORM's nested transactions are under way, one inside the other. */
  #nesting = 0
  /** How often the program committed, where nobody coordinates. */
  #commits = 0

  /** `fork` becomes the session's entity manager. */
  constructor(fork: SqlEntityManager, database: Database, settings: SessionSettings, options: SessionOptions) {
    this.#database = database
    this.#settings = settings
    this.#options = options
    this.owner = options.owner
    this.em = setSession(fork, this)
    this.#transaction = new DatabaseTransaction(this)
    this.#writes = new WriteState(settings)
    if (settings.scope === 'transaction') {
      this.#client = fork.getConnection('write').getClient()
      fork.setTransactionContext(sessionKysely(this, this.#client, 'orm'))
    } else if (settings.initialState === 'readonly') {
      if (fork.getTransactionSessionContext() !== undefined) throw new SessionContextError(settings.role)
      this.#rawContext = readOnlyKysely(this, database, fork)
      fork.setTransactionContext(this.#rawContext)
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
    return this.#writes.state
  }

  get coordinated(): boolean {
    return this.#options.coordinated
  }

  /** Whether MikroORM's own `em.begin()`, `em.commit()` and `em.rollback()` apply: a role that commits every flush. */
  get leavesTransactionsToMikroOrm(): boolean {
    return this.#settings.scope === 'statement' && this.#settings.initialState !== 'readonly'
  }

  /** Whether its database transaction was begun. */
  get begun(): boolean {
    return this.#transaction.begun
  }

  /** Whether the program committed, where nobody coordinates. */
  get hasCommitted(): boolean {
    return this.#commits > 0
  }

  get ended(): boolean {
    return this.#ending !== undefined
  }

  /** @throws SessionEndedError, or the reason for which it was cancelled */
  assertUsable(): void {
    if (this.#cancelled !== undefined) throw this.#cancelled
    if (this.#ending === undefined) return
    const error = this.tooLate()
    this.onLateUse?.(error)
    throw error
  }

  /** Cancels the statement on its way, if any; from here on every use throws `reason`. The session is still to be ended. */
  cancel(reason: Error): void {
    if (this.ended) return
    this.#cancelled = reason
    this.#transaction.cancel()
    this.onCancel?.cancel()
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
    this.#writes.markChanged()
  }

  /** @throws ReadOnlySessionError, ManagedSessionError, SessionEndedError before anything is sent; else the driver's error */
  async execute(
    query: CompiledQuery,
    origin: StatementOrigin,
    { signal, isLast }: Execution = {},
  ): Promise<StatementResult> {
    this.assertUsable()
    try {
      return await this.#transaction.exclusive((link) => {
        // Whoever gave it up while it waited was told so already.
        signal?.throwIfAborted()
        const send = () => this.#send(link, query, origin, isLast)
        return traceStatement(this, query, () => detailsOf(link), send, rowsOfResult)
      })
    } catch (error) {
      if (error instanceof SessionEndedError) this.onLateUse?.(error)
      throw error
    }
  }

  #send(
    link: DatabaseLink,
    query: CompiledQuery,
    origin: StatementOrigin,
    isLast: Execution['isLast'],
  ): Promise<StatementResult> {
    const { sql, parameters } = query
    const kind = link.kindOf(sql)
    this.#writes.admit(kind, query, origin)
    if (isLast !== undefined && kind === 'write' && parameters.length === 0 && isLast()) {
      return this.#transaction.executeLast(link, sql)
    }
    return link.execute(sql, parameters)
  }

  stream(query: CompiledQuery, chunkSize: number, origin: StatementOrigin): AsyncIterable<unknown[]> {
    return this.track(this.#stream(query, chunkSize, origin))
  }

  async *#stream(query: CompiledQuery, chunkSize: number, origin: StatementOrigin): AsyncIterable<unknown[]> {
    this.assertUsable()
    const transaction = this.#transaction
    const link = await transaction.exclusive(async (opened) => opened)
    const chunks = this.#chunks(transaction, link, query, chunkSize, origin)
    yield* traceStream(
      this,
      query,
      () => detailsOf(link),
      chunks,
      (rows) => rows.length,
    )
  }

  /** Over the connection of `transaction`, which is somebody else's when that is over. */
  async *#chunks(
    transaction: DatabaseTransaction,
    link: DatabaseLink,
    query: CompiledQuery,
    chunkSize: number,
    origin: StatementOrigin,
  ): AsyncIterable<unknown[]> {
    this.#writes.admit(link.kindOf(query.sql), query, origin)
    yield* link.stream(query.sql, query.parameters, chunkSize, (work) => transaction.exclusive(work))
  }

  /** Makes `rows` a stream of this session's, which ends with it. */
  track<Row>(rows: AsyncIterable<Row>): AsyncIterableIterator<Row> {
    this.#streams ??= new SessionStreams(() => this.#refuseRows())
    return this.#streams.add(rows)
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

  /** For MikroORM's nested transactions. */
  async sendSavepoint(sql: string): Promise<void> {
    if (this.#settings.scope === 'statement') return
    const isRollback = sql.startsWith('rollback')
    // It is over even if the connection is.
    if (isRollback) this.#nesting--
    await this.#exclusive((link) => link.execute(sql, []))
    if (isRollback) this.#transaction.forgetErrors()
    else this.#nesting += sql.startsWith('savepoint') ? 1 : -1
  }

  /** What the session remembers for its savepoints, if it has any. */
  get savepoints(): SessionSavepoints | undefined {
    return this.#savepoints
  }

  /**
   * The present state as something to go back to: flushes, and sends a savepoint unless nothing was sent yet, when going
   * back means to send nothing.
   * @throws NestedTransactionOpenError inside em.transactional(), also from the rollback; TransactionAbortedError; what
   *   the flush throws
   */
  async savepoint(): Promise<DataManagerSavepoint> {
    await this.assertCommittable()
    await this.flush()
    this.#refuseNested('txn.savepoint()')
    const savepoints = (this.#savepoints ??= new SessionSavepoints())
    const transaction = this.#transaction
    const name = transaction.begun ? savepoints.newName() : undefined
    // In one go with the savepoint's place among the statements.
    const snapshot = savepoints.take(this.em)
    const written = this.#writes.now()
    const commits = this.#commits
    if (name !== undefined) await this.#exclusive((link) => link.execute(`savepoint ${name}`, []))
    const rollback = async (): Promise<void> => {
      this.#refuseNested('The rollback of a savepoint')
      if (commits !== this.#commits || (name !== undefined && transaction !== this.#transaction)) {
        throw savepointIsGone(this.role)
      }
      if (name === undefined) await this.#startOver()
      else await this.#exclusive((link) => link.execute(`rollback to ${name}`, []))
      this.#writes.goBackTo(written, name !== undefined)
      this.#transaction.forgetErrors()
      savepoints.restore(snapshot)
    }
    return { rollback }
  }

  /** Lets a statement pass, or refuses it. @throws as {@link WriteState.admit} */
  admit(kind: StatementKind, query: CompiledQuery, origin: StatementOrigin): void {
    this.#writes.admit(kind, query, origin)
  }

  flush(): Promise<void> {
    return this.em.flush()
  }

  /**
   * The flush of a commit in which nobody else takes part. Where it is one statement, COMMIT goes along with it.
   * @throws CommitOutcomeUnknownError, or what the flush throws, when nothing was committed
   */
  async flushAndCommit(): Promise<void> {
    const client = this.#client
    if (client === undefined || this.#nesting > 0) return await this.flush()
    try {
      await flushAndCommit(this.em, (nothingElse) => sessionKysely(this, client, 'orm', nothingElse))
    } catch (error) {
      // Given up by a signal, it may still be on its way.
      await this.#transaction.idle()
      this.#transaction.assertOutcomeKnown()
      if (!this.#transaction.committedEarly) throw error
      if (error instanceof SessionEndedError) throw new CommittedTooEarlyError(this.role, error)
      reportAfterCommit(this.role, error)
    }
  }

  /** @throws as {@link DatabaseTransaction.assertCommittable} */
  assertCommittable(): Promise<void> | undefined {
    return this.#transaction.assertCommittable()
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

  /** Rolls the database transaction back and gives the connection back; what was not begun costs nothing. */
  async rollbackDatabase(): Promise<void> {
    const rollback = this.#transaction.rollback()
    if (rollback === undefined) return
    // Nobody has to wait for the end of a transaction that wrote nothing.
    if (this.state === 'changed') await rollback
    else this.#settings.background(rollback)
  }

  /** Flushes and commits, or rolls back what did not change: the whole of a commit for a session nobody coordinates. */
  async commitAlone(): Promise<void> {
    try {
      await this.flush()
      await this.settleUnmarkedWrites()
      if (this.state === 'changed') {
        await this.assertCommittable()
        await this.commitDatabase()
      }
    } finally {
      await this.rollbackDatabase()
    }
  }

  /** `em.commit()` where transactions are disabled. */
  async commitAndContinue(): Promise<void> {
    this.#refuseNested('em.commit()')
    try {
      await this.commitAlone()
    } finally {
      this.#commits++
      await this.#startOver()
    }
  }

  /** `em.rollback()`: this session alone; it stays joined and usable, and forgets what it had loaded. */
  async rollbackAndContinue(): Promise<void> {
    this.#refuseNested('em.rollback()')
    this.em.clear()
    await this.#startOver()
  }

  /** Before the end of a session that nobody marked as changed. @throws as {@link WriteState.settle} */
  settleUnmarkedWrites(): Promise<void> | undefined {
    return this.#writes.settle(() => this.#exclusive((link) => link.wrote()))
  }

  /** Ends the session: from here on every use of it throws and tells `ending`. */
  end(ending: string): void {
    if (this.#ending !== undefined) return
    this.#cancelled = undefined
    if (!this.#settings.keepSession) this.em.clear()
    this.#ending = ending
    this.#closeStreams()
    if (sessionCloseChannel.hasSubscribers) {
      sessionCloseChannel.publish({ ...this.facts, reason: ending } satisfies SessionCloseMessage)
    }
  }

  /** The context for raw SQL; undefined where MikroORM takes a connection for each statement. */
  get rawContext(): Kysely<any> | undefined {
    if (this.#client !== undefined) this.#rawContext ??= sessionKysely(this, this.#client, 'raw')
    return this.#rawContext
  }

  async #exclusive<T>(work: (link: DatabaseLink) => Promise<T>): Promise<T> {
    this.assertUsable()
    return await this.#transaction.exclusive(work)
  }

  async #startOver(): Promise<void> {
    const rollback = this.#transaction.rollback()
    this.#transaction = new DatabaseTransaction(this)
    this.#writes = new WriteState(this.#settings)
    await rollback
  }

  #refuseNested(what: string): void {
    this.assertUsable()
    if (this.#nesting > 0) throw new NestedTransactionOpenError(this.role, what)
  }

  /** For its transaction. What is thrown rejects, so that the failure stays. */
  async begin(): Promise<DatabaseLink> {
    this.#options.beforeBegin?.()
    return await this.#database.begin(this.#settings.begin, this.em)
  }

  /** For its transaction. */
  tooLate(): SessionEndedError {
    return new SessionEndedError(this.role, this.#ending ?? 'its database transaction is over')
  }
}

function detailsOf({ isFresh, backend }: DatabaseLink): StatementDetails {
  return { inTransaction: true, begins: isFresh, backend }
}
