import type { EntityManager } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Kysely } from 'kysely'
import type { Database } from '../database/database.ts'
import type { DataManagerSavepoint } from '../transaction/index.ts'
import type { Activity } from './activity.ts'
import type { DatabaseTransaction } from './database-transaction.ts'
import { SessionEndedError } from './errors.ts'
import { hasChanges } from './has-changes.ts'
import { OwnCommits } from './own-commits.ts'
import { PassingStatements } from './passing-statements.ts'
import { flushAndCommit } from './pipelined-commit.ts'
import type { ReadOnlyStatements } from './read-only-statements.ts'
import { readsOutside } from './reads-outside.ts'
import {
  sessionCloseChannel,
  sessionOpenChannel,
  type SessionCloseMessage,
  type SessionMessage,
} from './session-channels.ts'
import { SessionCore } from './session-core.ts'
import { SessionConnection, sessionKysely } from './session-kysely.ts'
import type { SessionOptions, SessionSettings } from './session-options.ts'
import { journalOf, SessionSavepoints } from './session-savepoints.ts'
import type { SessionState } from './session-state.ts'
import { SessionStatements } from './session-statements.ts'
import { savepoint, wayBackTo, type Rememberable } from './ways-back.ts'

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
export class Session implements Rememberable {
  readonly em: SqlEntityManager
  readonly core: SessionCore
  readonly statements: SessionStatements
  readonly commits: OwnCommits
  /** The statements that run outside of a transaction, of a role that only reads. */
  readonly #reads: ReadOnlyStatements | undefined
  readonly #client: Kysely<any> | undefined
  readonly #database: Database
  /** Made with the first statement that goes past the session. */
  #passing: PassingStatements | undefined

  /** `fork` becomes the session's entity manager. */
  constructor(fork: SqlEntityManager, database: Database, settings: SessionSettings, options: SessionOptions) {
    this.#database = database
    this.em = setSession(fork, this)
    this.core = new SessionCore(fork, database, settings, options)
    this.statements = new SessionStatements(this.core, this)
    this.commits = new OwnCommits(this.core, this.statements)
    // With keepSession it may still have the one of the session before.
    fork.resetTransactionContext()
    if (settings.scope === 'transaction') {
      this.#client = fork.getConnection('write').getClient()
      const source = new SessionConnection(this.statements, 'orm', undefined)
      this.core.context = sessionKysely(this.statements, this.#client, source)
      fork.setTransactionContext(this.core.context)
    } else if (settings.initialState === 'readonly') {
      this.#reads = readsOutside(this, database)
    }
    if (sessionOpenChannel.hasSubscribers) sessionOpenChannel.publish(this.facts)
  }

  get facts(): SessionMessage {
    return this.core.facts
  }

  get role(): string {
    return this.core.role
  }

  /** What its request or run belongs to: the Koa ctx. Undefined when that is over. */
  get owner(): unknown {
    return this.core.options.unit.owner
  }

  get state(): SessionState {
    return this.core.state
  }

  get coordinated(): boolean {
    return this.core.options.coordinated
  }

  get leavesTransactionsToMikroOrm(): boolean {
    return this.core.leavesTransactionsToMikroOrm
  }

  /** The operations of its entity managers that are under way. */
  get activity(): Activity {
    return this.core.activity
  }

  /** The database's only connection, where every statement waits for a transaction of MikroORM's. */
  get onlyConnection(): object | undefined {
    return this.#database.dialect === 'sqlite' ? this.em.config.getDriver().getConnection('write') : undefined
  }

  /** The statements that MikroORM sends past the session. */
  get passing(): PassingStatements {
    return (this.#passing ??= new PassingStatements(this.#database.dialect === 'postgresql'))
  }

  /** The present database transaction; a commit or rollback of the program's own begins another. */
  get transaction(): DatabaseTransaction {
    return this.core.transaction
  }

  // The life of the session

  get ended(): boolean {
    return this.core.life.ended
  }

  /** Whether only em.rollback() is left to the program. */
  get hasFailed(): boolean {
    return this.core.life.hasFailed
  }

  /** @throws SessionEndedError, SessionFailedError, or the reason for which it was cancelled */
  assertUsable(): void {
    this.core.assertUsable()
  }

  /** Has `notice` called with the error that a use after the end meets. */
  watchLateUse(notice: (error: Error) => void): void {
    this.core.life.onLateUse = notice
  }

  /** Cancels the statement on its way, if any; from here on every use throws `reason`. The session is still to be ended. */
  cancel(reason: Error): void {
    if (this.ended) return
    this.core.life.cancel(reason)
    this.transaction.cancel()
    this.#reads?.cancelAll()
    this.statements.dropStreams()
  }

  /** Cancels it before its end, where nobody waits for it any more: its streams just end. */
  giveUp(ending: string): void {
    this.core.settings.background(this.statements.closeStreams(true))
    this.cancel(new SessionEndedError(this.role, ending))
  }

  /**
   * Declares that this session wrote, so that it is committed.
   * @throws ReadOnlySessionError on a read-only role; SessionEndedError after the end
   */
  markChanged(): void {
    this.assertUsable()
    this.transaction.writes.markChanged()
  }

  /** Notes that something of it was committed. */
  committed(): void {
    this.core.committed()
  }

  /** Makes `rows` a stream of this session's, which ends with it. */
  track<Row>(rows: AsyncIterable<Row>, em?: object): AsyncIterableIterator<Row> {
    return this.statements.track(rows, em)
  }

  // Savepoints

  /** What the session remembers for its savepoints. Undefined without them. */
  get savepoints(): SessionSavepoints | undefined {
    return this.core.savepoints
  }

  remembering(): SessionSavepoints {
    return (this.core.savepoints ??= new SessionSavepoints(this.em, this.role, journal))
  }

  /** @throws as {@link savepoint} */
  savepoint(): Promise<DataManagerSavepoint> {
    return savepoint(this)
  }

  /** The state as the session was opened: it has sent nothing. */
  savepointAtJoin(): DataManagerSavepoint {
    return wayBackTo(this, undefined)
  }

  noteFailedFlush(error: unknown, context: Kysely<any> | undefined): void {
    this.statements.noteFailedFlush(error, context)
  }

  // What is under way

  flush(): Promise<void> {
    return this.em.flush()
  }

  /** Whether no operation and no statement of it is under way. */
  get isQuiet(): boolean {
    return this.core.isQuiet
  }

  /** Whether it is quiet, and nothing is left to be flushed. */
  get isSettled(): boolean {
    return this.core.isQuiet && !hasChanges(this.em)
  }

  /** Waits for what is under way, and flushes what is left. Whether that wrote anything, which may lead to more changes. */
  settle(): Promise<boolean> {
    return this.core.settle()
  }

  /** Waits until no operation and no statement is under way; without a promise where that is so. */
  idle(): Promise<void> | undefined {
    return this.core.isIdle ? undefined : this.core.idle()
  }

  /** Waits until it is idle, and until what it commits alone is committed, or not. */
  async settled(): Promise<void> {
    while (this.commits.underWay !== undefined) await this.commits.underWay
    await this.core.idle()
  }

  // The commit by a transaction manager

  /** Flushes, with COMMIT along where that is one statement. @throws as {@link flushAndCommit} */
  async flushAndCommit(): Promise<void> {
    if (this.#client === undefined || this.transaction.hasFailed) return await this.flush()
    await flushAndCommit(this.core, this.statements, this.#client)
  }

  /** @throws NestedTransactionOpenError while em.transactional() is under way */
  assertNotNested(what: string): void {
    this.statements.assertNotNested(what)
  }

  // The end

  /** Rolls the database transaction back and gives the connection back; what was not begun costs nothing. */
  rollbackDatabase(): Promise<void> | undefined {
    return this.core.rollBack(this.transaction)
  }

  /** Ends the session, what it did being committed: from here on every use of it throws and says `ending`. */
  end(ending: string): void {
    if (!this.core.settings.keepSession) this.core.forget()
    this.#end(ending)
  }

  /** Ends the session without a commit, since nothing of it is to be committed. */
  async endUnchanged(ending: string): Promise<void> {
    // Raw SQL that nobody declared is undone, and what was read since may have seen it.
    if (this.transaction.writes.version > 0) return await this.abandon(ending)
    const rollback = this.rollbackDatabase()
    // Those who hear of it find the entities.
    if (this.transaction.events.hearsRollback) await rollback
    this.end(ending)
    await rollback
  }

  /**
   * Rolls back and ends the session, which then knows nothing that was not committed. Carries out an em.commit() first that
   * was called before: its caller waits for the answer.
   */
  async abandon(ending: string): Promise<void> {
    while (this.commits.underWay !== undefined && !this.activity.isInside) await this.commits.underWay
    if (this.ended) return
    const rollback = this.rollbackDatabase()
    if (this.transaction.events.hearsRollback) await rollback
    this.core.forget()
    this.#end(ending)
    await rollback
  }

  #end(ending: string): void {
    if (this.ended) return
    this.core.savepoints = undefined
    this.core.life.end(ending)
    this.statements.dropStreams()
    if (sessionCloseChannel.hasSubscribers) {
      sessionCloseChannel.publish({ ...this.facts, reason: ending } satisfies SessionCloseMessage)
    }
  }
}
