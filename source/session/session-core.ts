import type { SqlEntityManager } from '@mikro-orm/sql'
import type { ControlledTransaction, Kysely } from 'kysely'
import type { Database } from '../database/database.ts'
import type { WalPosition } from '../database/wal-position.ts'
import { Activity } from './activity.ts'
import { DatabaseTransaction } from './database-transaction.ts'
import type { SessionEndedError } from './errors.ts'
import { forgetScheduled } from './flush-in-turn.ts'
import { hasChanges } from './has-changes.ts'
import { Rounds } from './rounds.ts'
import type { SessionMessage } from './session-channels.ts'
import { SessionLife } from './session-life.ts'
import type { SessionOptions, SessionSettings } from './session-options.ts'
import type { SessionSavepoints } from './session-savepoints.ts'
import type { Predecessor } from './transaction-connection.ts'
import type { TransactionHost } from './transaction-statements.ts'
import type { SessionState } from './session-state.ts'

/** A transaction of MikroORM's that the program has begun by `em.begin()`, and not ended. */
export interface BegunByHand {
  readonly transaction: ControlledTransaction<any>
  /** Notes that its connection is about to come back. */
  readonly leave: (() => void) | undefined
}

/** What the parts of a session share: its entity manager, its life, its database transaction, and what is under way. */
export class SessionCore implements TransactionHost {
  readonly em: SqlEntityManager
  readonly settings: SessionSettings
  readonly options: SessionOptions
  readonly life: SessionLife
  /** The operations of its entity managers that are under way. */
  readonly activity = new Activity()
  /** The transaction context of its entity manager, where its statements are in a database transaction. */
  context: Kysely<any> | undefined
  /** Made with the first savepoint. */
  savepoints: SessionSavepoints | undefined
  /** The latest last: em.begin() begins another one over another connection. */
  begun: BegunByHand[] | undefined
  readonly #database: Database
  #transaction: DatabaseTransaction

  constructor(em: SqlEntityManager, database: Database, settings: SessionSettings, options: SessionOptions) {
    this.em = em
    this.settings = settings
    this.options = options
    this.life = new SessionLife(settings.role)
    this.#database = database
    this.#transaction = this.#newTransaction(undefined)
  }

  get role(): string {
    return this.settings.role
  }

  /** What is published of it on the diagnostics channels. */
  get facts(): SessionMessage {
    const { owner, dbSession } = this.options.unit
    return { role: this.role, em: this.em, owner, dbSession, state: this.state }
  }

  get state(): SessionState {
    return this.#transaction.writes.state
  }

  /** Whether MikroORM's own `em.begin()`, `em.commit()` and `em.rollback()` apply: a role that commits every flush. */
  get leavesTransactionsToMikroOrm(): boolean {
    return this.settings.scope === 'statement' && this.settings.initialState !== 'readonly'
  }

  /** @throws SessionEndedError, SessionFailedError, the reason for which it was cancelled, or that its ORM is closed */
  assertUsable(): void {
    this.life.assertUsable(this.#transaction.statements.isSealed)
    const { closed } = this.settings
    if (closed !== undefined && !this.#transaction.begun && !this.hasBegunByHand) throw closed()
  }

  tooLate(): SessionEndedError {
    return this.life.tooLate()
  }

  committed(position?: WalPosition): void {
    this.options.unit.committed?.(this.role, position)
  }

  // The database transaction

  /** The present one; a commit or rollback of the program's own begins another. */
  get transaction(): DatabaseTransaction {
    return this.#transaction
  }

  /** Rolls back; what comes from here on is in another database transaction, behind the rollback. */
  async startOver(): Promise<void> {
    const ended = this.#transaction
    const rollback = ended.rollback()
    this.replaceTransaction(rollback === undefined ? undefined : ended)
    await rollback
    await this.#rollBackBegun()
  }

  /** Whether a transaction that the program has begun by `em.begin()` is open. */
  get hasBegunByHand(): boolean {
    return this.begun !== undefined && this.begun.length > 0
  }

  /** Has what comes from here on in another database transaction, which begins `after` the end of this one. */
  replaceTransaction(after: Predecessor | undefined): void {
    this.#transaction = this.#newTransaction(after)
  }

  #newTransaction(after: Predecessor | undefined): DatabaseTransaction {
    const { unit } = this.options
    return new DatabaseTransaction(this, this.settings, {
      database: this.#database,
      em: this.em,
      role: this.role,
      unit,
      after,
    })
  }

  /** Rolls `transaction` back; without a promise where nobody has to wait, as for the end of plain reads. */
  rollBack(transaction: DatabaseTransaction): Promise<void> | undefined {
    if (this.hasBegunByHand) return this.#rollBackBegun()
    const rollback = transaction.rollback()
    if (rollback === undefined || transaction.writes.mayHoldLocks || transaction.events.hearsRollback) return rollback
    this.settings.background(rollback)
    return undefined
  }

  async #rollBackBegun(): Promise<void> {
    const { begun = [] } = this
    this.begun = undefined
    const connection = this.em.config.getDriver().getConnection('write')
    for (const { transaction, leave } of begun) {
      // The database rolls back when its connection goes.
      await connection.rollback(transaction).catch(() => undefined)
      leave?.()
    }
  }

  /** Leaves nothing but a rollback to the program: what is in memory is not what the database holds. */
  fail(error: unknown): void {
    if (this.life.fail(error)) this.settings.background(this.startOver())
  }

  /** Forgets all entities. Not by em.clear(), which is refused where the session is cancelled or has failed. */
  forget(): void {
    if (this.life.ended) return
    this.em.getUnitOfWork(false).clear()
    forgetScheduled(this.em)
  }

  // What is under way

  /** Whether no operation and no statement of it is under way. */
  get isQuiet(): boolean {
    return this.activity.count === 0 && this.#transaction.isIdle
  }

  /** Whether something is under way that has its connection. */
  get isBusy(): boolean {
    return !this.life.ended && !this.isQuiet && !this.#transaction.isOpening
  }

  /** Counts up with what it does. */
  get steps(): number {
    return this.activity.total + this.#transaction.steps
  }

  /** Whether nothing is under way that the running code could wait for. */
  get isIdle(): boolean {
    return this.activity.isInside || this.isQuiet
  }

  /** Waits until no operation and no statement is under way. */
  async idle(): Promise<void> {
    // A hook of a flush would wait for the flush that calls it.
    if (this.activity.isInside) return
    // Others waited for the same, and go on now.
    for (const rounds = new Rounds(this.role); !this.isIdle; rounds.next()) {
      await this.activity.idle()
      await this.#transaction.idle()
    }
  }

  /** Waits for what is under way, and flushes what is left. Whether that wrote anything, which may lead to more changes. */
  async settle(): Promise<boolean> {
    const { writes } = this.#transaction
    const { version } = writes
    await this.idle()
    const isFlushed = hasChanges(this.em)
    if (isFlushed) await this.em.flush()
    // What MikroORM commits itself goes past the session.
    return writes.version !== version || (isFlushed && this.leavesTransactionsToMikroOrm)
  }
}
