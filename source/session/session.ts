import process from 'node:process'
import type { CompiledQuery, Kysely } from 'kysely'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { InvalidSavepointRollbackError, SqlassistError, type DataManagerSavepoint } from '../transaction/index.ts'
import { sessionCloseChannel, sessionOpenChannel, type SessionCloseMessage, type SessionMessage } from './channels.ts'
import type { BeginOptions, Database, DatabaseLink, StatementResult } from './database-link.ts'
import {
  CannotPrepareError,
  CommitOutcomeUnknownError,
  CommittedTooEarlyError,
  ConnectionLostError,
  ManagedSessionError,
  ReadOnlySessionError,
  SessionContextError,
  SessionEndedError,
  TransactionAbortedError,
  UnmarkedWriteError,
} from './errors.ts'
import { flushAndCommit } from './flush-and-commit.ts'
import { LazyTransaction, type TransactionHost } from './lazy-transaction.ts'
import { RawWriteLog, shown } from './raw-write-log.ts'
import type { RawWrites } from './raw-writes.ts'
import { PreparedTransaction, refusesToPrepare } from './prepared-transaction.ts'
import { readOnlyKysely } from './read-only-kysely.ts'
import { bindToSession } from './session-entity-manager.ts'
import { sessionKysely, type StatementOrigin } from './session-kysely.ts'
import { NestedTransactionOpenError, SessionSavepoints } from './session-savepoints.ts'
import type { SessionState } from './session-state.ts'
import type { StatementKind } from './statement-kind.ts'
import { rowsOfResult, traceEnd, traceStatement, traceStream, type StatementDetails } from './trace.ts'

/** What a session is told when it is opened. */
export interface SessionOptions {
  readonly role: string
  readonly initialState: SessionState
  /** `statement`: every statement by itself. `transaction`: one database transaction, begun by the first statement. */
  readonly scope: 'statement' | 'transaction'
  readonly begin: BeginOptions
  readonly rawWrites: RawWrites
  readonly keepSession: boolean
  /** Whether a transaction manager commits it; otherwise `em.commit()` and `em.rollback()` are the program's own. */
  readonly coordinated: boolean
  /** What the session belongs to: the Koa ctx in a request. */
  readonly owner: unknown
  /** The container of its request or run. */
  readonly dbSession: object | undefined
  /** Called before the database transaction begins; throws to refuse it. */
  readonly beforeBegin?: (() => void) | undefined
  /** Takes over a promise that nobody waits for. */
  readonly background: (work: Promise<void>) => void
}

/** How a statement is sent. */
export interface Execution {
  /** Aborted: it is not sent any more. */
  readonly signal?: AbortSignal | undefined
  /** Whether it is the last one: asked when it is about to be sent. */
  readonly isLast?: (() => boolean) | undefined
}

const KYSELY_WRITES = new Set(['InsertQueryNode', 'UpdateQueryNode', 'DeleteQueryNode', 'MergeQueryNode'])

/**
 * One role's session in one unit of work: a forked EntityManager whose statements all run in one database transaction,
 * begun by the first of them.
 */
export class Session implements TransactionHost {
  readonly em: SqlEntityManager
  readonly owner: unknown
  readonly #database: Database
  readonly #options: SessionOptions
  readonly #client: Kysely<any> | undefined
  #state: SessionState
  #transaction: LazyTransaction
  #ending: string | undefined
  #cancelled: Error | undefined
  /** Cancels a statement that runs by itself, outside of a transaction. */
  onCancel: (() => void) | undefined
  /** The first error since the last savepoint that was rolled back to: why PostgreSQL refuses to go on. */
  #firstError: unknown
  #rawWrites = new RawWriteLog()
  #rawContext: Kysely<any> | undefined
  /** Made with the first savepoint. */
  #savepoints: SessionSavepoints | undefined
  /** How many of MikroORM's nested transactions are under way, one inside the other. */
  #nesting = 0
  /** How often the program committed, where nobody coordinates. */
  #commits = 0

  /** `fork` becomes the session's entity manager. */
  constructor(fork: SqlEntityManager, database: Database, options: SessionOptions) {
    this.#database = database
    this.#options = options
    this.#state = options.initialState
    this.owner = options.owner
    this.em = bindToSession(fork, this)
    this.#transaction = new LazyTransaction(this)
    if (options.scope === 'transaction') {
      this.#client = fork.getConnection('write').getClient()
      fork.setTransactionContext(sessionKysely(this, this.#client, 'orm'))
    } else if (options.initialState === 'readonly') {
      if (fork.getTransactionSessionContext() !== undefined) throw new SessionContextError(options.role)
      this.#rawContext = readOnlyKysely(this, database, fork)
      fork.setTransactionContext(this.#rawContext)
    }
    if (sessionOpenChannel.hasSubscribers) sessionOpenChannel.publish(this.facts)
  }

  /** What is told of it on the diagnostics channels. */
  get facts(): SessionMessage {
    const { role, owner, dbSession } = this.#options
    return { role, em: this.em, owner, dbSession, state: this.#state }
  }

  get role(): string {
    return this.#options.role
  }

  get state(): SessionState {
    return this.#state
  }

  get coordinated(): boolean {
    return this.#options.coordinated
  }

  /** Whether MikroORM's own `em.begin()`, `em.commit()` and `em.rollback()` apply: a role that commits every flush. */
  get leavesTransactionsToMikroOrm(): boolean {
    return this.#options.scope === 'statement' && this.#options.initialState !== 'readonly'
  }

  /** Whether its database transaction was begun. */
  get begun(): boolean {
    return this.#transaction.begun
  }

  get ended(): boolean {
    return this.#ending !== undefined
  }

  /** @throws SessionEndedError, or the reason for which it was cancelled */
  assertUsable(): void {
    if (this.#cancelled !== undefined) throw this.#cancelled
    if (this.#ending !== undefined) throw this.tooLate()
  }

  /** Cancels the statement on its way, if any; from here on every use throws `reason`. The session is still to be ended. */
  cancel(reason: Error): void {
    if (this.ended) return
    this.#cancelled = reason
    this.#transaction.cancel()
    this.onCancel?.()
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
    if (this.#state === 'readonly') throw new ReadOnlySessionError(this.role, 'it cannot be marked as changed')
    this.#state = 'changed'
    this.#rawWrites = new RawWriteLog()
  }

  /** @throws ReadOnlySessionError, ManagedSessionError, SessionEndedError before anything is sent; else the driver's error */
  async execute(
    query: CompiledQuery,
    origin: StatementOrigin,
    { signal, isLast }: Execution = {},
  ): Promise<StatementResult> {
    return await this.#exclusive(async (link) => {
      // Whoever gave it up while it waited was told so already.
      signal?.throwIfAborted()
      const send = async (): Promise<StatementResult> => {
        const kind = link.kindOf(query.sql)
        this.admit(kind, query, origin)
        if (isLast !== undefined && kind === 'write' && isLast()) return await this.#executeLast(link, query)
        return await link.execute(query.sql, query.parameters)
      }
      return await traceStatement(this, query, () => detailsOf(link), send, rowsOfResult)
    })
  }

  /** @throws CommitOutcomeUnknownError */
  async #executeLast(link: DatabaseLink, { sql, parameters }: CompiledQuery): Promise<StatementResult> {
    if (parameters.length > 0) return await link.execute(sql, parameters)
    const result = await this.#transaction.executeLast(link, sql)
    this.#throwIfUnknown()
    return result
  }

  #throwIfUnknown(): void {
    const answer = this.#transaction.earlyAnswer
    if (answer?.outcome === 'unknown') throw new CommitOutcomeUnknownError(this.role, answer.error)
  }

  async *stream(query: CompiledQuery, chunkSize: number, origin: StatementOrigin): AsyncIterable<unknown[]> {
    const link = await this.#exclusive(async (opened) => opened)
    const chunks = this.#chunks(link, query, chunkSize, origin)
    yield* traceStream(
      this,
      query,
      () => detailsOf(link),
      chunks,
      (rows) => rows.length,
    )
  }

  async *#chunks(
    link: DatabaseLink,
    query: CompiledQuery,
    chunkSize: number,
    origin: StatementOrigin,
  ): AsyncIterable<unknown[]> {
    this.admit(link.kindOf(query.sql), query, origin)
    yield* link.stream(query.sql, query.parameters, chunkSize, (work) => this.#exclusive(work))
  }

  /** For MikroORM's nested transactions. */
  async sendSavepoint(sql: string): Promise<void> {
    if (this.#options.scope === 'statement') return
    const isRollback = sql.startsWith('rollback')
    // It is over even if the connection is.
    if (isRollback) this.#nesting--
    await this.#exclusive((link) => link.execute(sql, []))
    if (isRollback) this.#firstError = undefined
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
    const [state, rawWrites, commits] = [this.#state, this.#rawWrites.copy(), this.#commits]
    if (name !== undefined) await this.#exclusive((link) => link.execute(`savepoint ${name}`, []))
    const rollback = async (): Promise<void> => {
      this.#refuseNested('The rollback of a savepoint')
      if (commits !== this.#commits || (name !== undefined && transaction !== this.#transaction)) {
        throw new InvalidSavepointRollbackError(
          `The session of role "${this.role}" was committed or rolled back by itself after this savepoint, which is gone ` +
            `with that. Leave em.commit() and em.rollback() alone while there are savepoints to go back to.`,
        )
      }
      if (name === undefined) await this.#startOver()
      else await this.#exclusive((link) => link.execute(`rollback to ${name}`, []))
      const mayHaveWritten = this.#state !== state || this.#rawWrites.length > rawWrites.length
      this.#state = state
      this.#rawWrites = rawWrites.copy()
      if (name !== undefined && mayHaveWritten) this.#rawWrites.noteUndoneWrite()
      this.#firstError = undefined
      savepoints.restore(snapshot)
    }
    return { rollback }
  }

  /** Lets a statement pass, or refuses it; notes what a write does to the state. */
  admit(kind: StatementKind, query: CompiledQuery, origin: StatementOrigin): void {
    if (kind === 'read') {
      if (this.#state === 'active') {
        this.#rawWrites.noteRead(query.sql, origin === 'raw' && query.query.kind === 'RawNode')
      }
      return
    }
    if (kind === 'control') throw new ManagedSessionError(this.role, `"${shown(query.sql)}"`)
    if (this.#state === 'readonly') throw new ReadOnlySessionError(this.role, `"${shown(query.sql)}" would write`)
    if (origin === 'orm' || KYSELY_WRITES.has(query.query.kind) || this.#options.rawWrites === 'commit') {
      this.#state = 'changed'
    } else if (this.#state !== 'changed') {
      this.#rawWrites.noteWrite(query.sql)
    }
  }

  async flush(): Promise<void> {
    await this.em.flush()
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
      this.#throwIfUnknown()
      if (!this.#hasCommitted) throw error
      if (error instanceof SessionEndedError) throw new CommittedTooEarlyError(this.role, error)
      reportAfterCommit(this.role, error)
    }
  }

  /** Whether it was committed together with its last statement. */
  get #hasCommitted(): boolean {
    return this.#transaction.earlyAnswer?.outcome === 'committed'
  }

  /**
   * Makes sure that the database will commit what was sent.
   * @throws TransactionAbortedError or ConnectionLostError with the statement's error as cause
   */
  async assertCommittable(): Promise<void> {
    if (!this.#transaction.begun || this.#hasCommitted) return
    if (await this.#transaction.exclusive((link) => this.#isAborted(link))) {
      throw new TransactionAbortedError(this.role, this.#firstError)
    }
  }

  async #isAborted(link: DatabaseLink): Promise<boolean> {
    try {
      return await link.isAborted()
    } catch (error) {
      throw link.isLost(error) ? new ConnectionLostError(this.role, this.#firstError ?? error) : error
    }
  }

  /**
   * Commits the database transaction, with a decision written down in it where there is one.
   * @throws TransactionAbortedError, ConnectionLostError, CommitOutcomeUnknownError, or the driver's error as it is
   */
  async commitDatabase(decision?: string): Promise<void> {
    const decides = decision !== undefined
    const answer = await traceEnd(this, { how: 'commit', decides }, () => this.#transaction.commit(decision))
    if (answer === undefined) return
    if (answer.outcome === 'lost') throw new ConnectionLostError(this.role, this.#firstError)
    if (answer.outcome === 'rolled back') throw new TransactionAbortedError(this.role, this.#firstError)
    if (answer.outcome === 'unknown') throw new CommitOutcomeUnknownError(this.role, answer.error)
    if (answer.outcome === 'refused') throw answer.error
  }

  /**
   * Prepares the database transaction under that id: from here on it outlives its connection, and the process.
   * @throws CannotPrepareError, TransactionAbortedError, or the driver's error as it is, when nothing is prepared;
   *   ConnectionLostError when it may be, all the same
   */
  async prepareDatabase(gid: string): Promise<PreparedTransaction> {
    const prepared = await traceEnd(this, { how: 'prepare', gid }, () => this.#transaction.prepare(gid))
    if (prepared === undefined) throw this.tooLate()
    const { answer, link } = prepared
    switch (answer.outcome) {
      case 'prepared':
        return new PreparedTransaction(gid, link)
      case 'rolled back':
        throw new TransactionAbortedError(this.role, this.#firstError)
      case 'lost':
        throw new ConnectionLostError(this.role, this.#firstError)
      case 'unknown':
        throw new ConnectionLostError(this.role, answer.error)
      case 'refused':
        throw refusesToPrepare(answer.error) ? new CannotPrepareError(this.role, answer.error) : answer.error
    }
  }

  /** Rolls the database transaction back and gives the connection back; what was not begun costs nothing. */
  async rollbackDatabase(): Promise<void> {
    const rollback = this.#rollBack()
    // Nobody has to wait for the end of a transaction that wrote nothing.
    if (this.#state === 'changed') await rollback
    else this.#options.background(rollback)
  }

  /** Flushes and commits, or rolls back what did not change: the whole of a commit for a session nobody coordinates. */
  async commitAlone(): Promise<void> {
    try {
      await this.flush()
      await this.settleUnmarkedWrites()
      if (this.#state === 'changed') {
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

  /**
   * Before the end of a session that nobody marked as changed: does with raw SQL that wrote what `rawWrites` says.
   * @throws UnmarkedWriteError for `'error'`
   */
  async settleUnmarkedWrites(): Promise<void> {
    if (this.#state !== 'active') return
    if (this.#options.rawWrites === 'rollback') {
      // Where the question fails there was an error already, and what could be told about is rolled back all the same.
      const asked = this.#findHiddenWrites().then(
        () => this.#rawWrites.warn(this.role),
        () => undefined,
      )
      this.#options.background(asked)
      return
    }
    await this.#findHiddenWrites()
    const { writes } = this.#rawWrites
    if (writes.length === 0) return
    if (this.#options.rawWrites === 'error') throw new UnmarkedWriteError(this.role, writes)
    this.#state = 'changed'
  }

  /** A function that writes looks like a read. */
  async #findHiddenWrites(): Promise<void> {
    if (this.#rawWrites.mayHideWrites && (await this.#exclusive((link) => link.wrote()))) {
      this.#rawWrites.takeReadsForWrites()
    }
  }

  /** Ends the session: from here on every use of it throws and tells `ending`. */
  end(ending: string): void {
    if (this.#ending !== undefined) return
    this.#cancelled = undefined
    if (!this.#options.keepSession) this.em.clear()
    this.#ending = ending
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
    return await this.#transaction.exclusive(async (link) => {
      try {
        return await work(link)
      } catch (error) {
        // What was refused here never reached the database.
        if (!(error instanceof SqlassistError)) this.#firstError ??= error
        throw error
      }
    })
  }

  async #startOver(): Promise<void> {
    const rollback = this.#rollBack()
    this.#transaction = new LazyTransaction(this)
    this.#state = this.#options.initialState
    this.#firstError = undefined
    this.#rawWrites = new RawWriteLog()
    await rollback
  }

  #rollBack(): Promise<void> {
    const transaction = this.#transaction
    return transaction.open ? traceEnd(this, { how: 'rollback' }, () => transaction.rollback()) : transaction.rollback()
  }

  #refuseNested(what: string): void {
    this.assertUsable()
    if (this.#nesting > 0) throw new NestedTransactionOpenError(this.role, what)
  }

  /** For its transaction. */
  async begin(): Promise<DatabaseLink> {
    const { begin, beforeBegin } = this.#options
    beforeBegin?.()
    return await this.#database.begin(begin, this.em)
  }

  /** For its transaction. */
  tooLate(): SessionEndedError {
    return new SessionEndedError(this.role, this.#ending ?? 'its database transaction is over')
  }
}

function reportAfterCommit(role: string, error: unknown): void {
  process.emitWarning(
    `The session of role "${role}" is committed; MikroORM failed when it took the answer over: ${String(error)}`,
    { code: 'SQLASSIST_FAILED_AFTER_COMMIT', detail: String((error as Error)?.stack ?? error) },
  )
}

function detailsOf({ isFresh, backend }: DatabaseLink): StatementDetails {
  return { inTransaction: true, begins: isFresh, backend }
}
