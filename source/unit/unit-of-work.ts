import type { Transaction, TransactionManager } from '../transaction/index.ts'
import type { MaybeLater } from '../transaction/maybe-later.ts'
import { report } from '../transaction/warnings.ts'
import type { Session } from '../session/session.ts'
import { askedTooLate } from '../role/errors.ts'
import { UnitScope, type ScopedUnit } from '../role/unit-scope.ts'
import { DEFAULT_ROLE, type RoleStatus, type SessionSource } from './db-sessions-container.ts'
import { openRole } from './any-preference.ts'
import { LateReading, type LateReader } from './late-reading.ts'
import { LazyTransaction, managerAskedTooLate } from './lazy-transaction.ts'
import { RetryDecision, type Ended } from './retry-decision.ts'
import { unitEndChannel, unitStartChannel } from './unit-channels.ts'
import type { AbortReason, UnitEndFacts, UnitFacts } from './unit-channels.ts'
import { UnitEnding, type Ending } from './unit-ending.ts'
import type { UnitHost, UnitOfWorkOptions } from './unit-host.ts'
import { UnitLife } from './unit-life.ts'
import { UnitPositions } from './positions.ts'
import { UnitSessions } from './unit-sessions.ts'

/** One request or one run: its transaction, the sessions it opened, and how they end. */
export class UnitOfWork implements SessionSource {
  readonly container: object
  /** What its reads from replicas have to show. */
  readonly positions: UnitPositions
  /** The asynchronous context of its code. */
  readonly scope: UnitScope
  readonly #host: UnitHost
  readonly #options: UnitOfWorkOptions
  /** Whether it is of a request, and not of a run. */
  readonly #isRequest: boolean
  readonly #life = new UnitLife()
  readonly #retry: RetryDecision
  readonly #lazy: LazyTransaction
  readonly #sessions: UnitSessions
  readonly #ending: UnitEnding
  #late: LateReading | undefined

  constructor(host: UnitHost, Container: new (unit: SessionSource) => object, options: UnitOfWorkOptions) {
    this.#host = host
    this.#options = options
    this.#retry = new RetryDecision(options)
    this.#lazy = new LazyTransaction(options, this.#retry.finishing)
    this.positions = options.positions ?? new UnitPositions(undefined)
    this.#sessions = new UnitSessions(host, this, options, this.#retry.committing)
    this.#ending = new UnitEnding({
      unit: this,
      life: this.#life,
      lazy: this.#lazy,
      sessions: this.#sessions,
      retry: this.#retry,
    })
    // The attempts at a request share its ctx, and so what an attempt has left behind there.
    this.#isRequest = options.series === undefined && options.owner !== undefined
    this.scope = new UnitScope(host, this, this.#isRequest && options.mayRetry === true, options.startedIn)
    this.container = new Container(this)
    if (unitStartChannel.hasSubscribers) unitStartChannel.publish(this.#facts())
  }

  get ended(): boolean {
    return this.#life.ended
  }

  /** As in a sentence. */
  get name(): string {
    const { owner, note } = this.#options
    const kind = this.#isRequest ? 'request' : 'run'
    const name = this.transaction()?.description.trim() || note?.(owner)
    return name === undefined ? `a ${kind} without a name` : `the ${kind} "${name}"`
  }

  get owner(): unknown {
    return this.#options.owner
  }

  get isBusy(): boolean {
    return this.#sessions.areBusy
  }

  get steps(): number {
    return this.#sessions.steps
  }

  isAwaitedIn(outer: ScopedUnit | undefined): boolean {
    const { isAwaited } = this.#options
    return isAwaited === undefined ? this.#isRequest && outer?.owner === this.owner : isAwaited()
  }

  /** Its transaction manager. */
  get tm(): TransactionManager {
    return this.#lazy.manager
  }

  /** Its transaction manager, for its code. @throws UnitOfWorkEndedError after the end */
  get tmInUse(): TransactionManager {
    if (this.ended) throw managerAskedTooLate()
    return this.tm
  }

  /** Begins its transaction, as {@link LazyTransaction.begin}. */
  begin(): MaybeLater {
    return this.#lazy.begin()
  }

  /** The transaction under way, if there is one. */
  transaction(): Transaction | undefined {
    return this.ended ? undefined : this.#lazy.current
  }

  /** Whether it has not ended, and its transaction is not committed yet. */
  get isOpen(): boolean {
    return !this.ended && this.transaction()?.status !== 'Committed'
  }

  /** Whether the work has ended its transaction, or begun to commit it, and has begun no other. */
  get isSettled(): boolean {
    const transaction = this.transaction()
    if (transaction !== undefined) return transaction.status === 'Committing'
    return !this.#lazy.isUnbegun && this.#life.aborting === undefined
  }

  /** Whether the work has committed something, or begun to. */
  get hasCommitted(): boolean {
    const status = this.#lazy.first?.status
    return this.#retry.hasCommitted || status === 'Committed' || status === 'Committing'
  }

  /** Whether something of it is committed. */
  get hasStored(): boolean {
    return this.#retry.hasCommitted
  }

  /** @throws ConfigurationError if no role is the default */
  get defaultRole(): string {
    return this.#host.engine(DEFAULT_ROLE).role
  }

  /**
   * The session of a role, opened and joined to the current transaction if it is not open yet.
   * @throws UnknownRoleError; UnitOfWorkEndedError; NoTransactionError when the transaction was ended and none begun
   */
  session(role: string): Session {
    const last = this.#sessions.last(role)
    if (last !== undefined && !last.ended) return last
    const engine = this.#host.engine(role)
    // A second session would know nothing of the first one's changes, and nobody would end it.
    if (last !== undefined && this.#life.isEnding) throw askedTooLate(`The session of role "${role}"`)
    const { cancelled } = this.#life
    if (cancelled !== undefined && engine.rules.abortsWithUnit) throw cancelled
    if (this.ended) {
      if (this.#late === undefined) throw askedTooLate(`The session of role "${role}"`)
      this.#late.admit(engine)
    }
    const session = this.#sessions.open(engine)
    this.#late?.watch(session)
    this.#options.observer?.sessionOpened()
    return session
  }

  /** The session of a role, if one is open. */
  opened(role: string): Session | undefined {
    return this.#sessions.opened(role)
  }

  /** Whether this unit's session of a role has a transaction open. */
  holdsConnection(role: string): boolean {
    return this.opened(role)?.transaction.begun === true
  }

  anySession(): Session {
    // A piped body is read while the unit ends, and would find the sessions that end with it.
    const isRead = this.#late !== undefined
    const preference = this.#options.anyPreference.filter(
      (role) => this.#host.has(role) && (!isRead || this.#host.engine(role).rules.readsLate),
    )
    return this.session(openRole(preference, (role) => this.opened(role)) ?? preference[0] ?? this.defaultRole)
  }

  status(): Record<string, RoleStatus> {
    return Object.fromEntries(this.#host.names.map((role) => [role, this.#sessions.status(role)]))
  }

  /**
   * Cancels what its sessions are doing, unless they have a transaction of their own, and aborts the transaction. Every later
   * use of them throws `reason`. A commit that has begun is finished. The unit is still to be ended.
   */
  cancel(reason: Error): void {
    const transaction = this.transaction()
    if (transaction?.status === 'Committing') return
    this.#life.cancel(reason)
    this.#sessions.cancel(reason)
    const aborting = transaction?.abort().catch((error: unknown) => report(error, `while aborting: ${reason.message}`))
    this.#life.cancel(reason, aborting)
    if (aborting !== undefined) this.#host.watch(aborting)
  }

  /** Lets `reader` read from read-only roles, when this unit has ended well, until it is over. */
  readBy(reader: LateReader): void {
    this.#late ??= new LateReading(reader, this.#host, {
      close: (unread) => this.#closeSessions(unread),
      release: () => this.#letGo(),
    })
    this.#late.replaceReader(reader)
    for (const session of this.#sessions.all) this.#late.watch(session)
  }

  /** Ends it by a commit, as {@link UnitEnding.commit}. */
  commit(): MaybeLater {
    return this.#ending.commit()
  }

  /** Ends it by an abort. @throws the first error */
  abort(reason: AbortReason): Promise<void> {
    return this.#ending.abort(reason)
  }

  /** Ends it by an abort because of `error`, unless it has ended. Never rejects. */
  abortBecauseOf(error: unknown): Promise<Ended> {
    return this.#ending.abortBecauseOf(error)
  }

  /** Publishes the end, and ends the sessions that only read. For its ending. */
  end({ outcome, reason, error }: Ending): MaybeLater {
    this.#life.moveTo('ended')
    this.#lazy.close()
    const closing = this.#close(error !== undefined || reason === 'failed' || reason === 'cancelled')
    if (unitEndChannel.hasSubscribers) {
      const message: UnitFacts & UnitEndFacts = { ...this.#facts(), outcome, reason, error, retries: this.#retry.again }
      unitEndChannel.publish(message)
    }
    return closing
  }

  #facts(): UnitFacts {
    const { owner, attempt = 1 } = this.#options
    const series = this.#options.series ?? (owner as object | undefined) ?? this.container
    return { registry: this.#host, owner, dbSession: this.container, tm: this.tm, series, attempt }
  }

  #close(hasFailed: boolean): MaybeLater {
    if (this.#late?.begin(hasFailed, this.#sessions.independent?.hasReaders === true) === true) return undefined
    return this.#closeSessions(this.#late?.isOver === true)
  }

  /** `unread`: nobody waits for what they do. */
  #closeSessions(unread: boolean): MaybeLater {
    const ending = this.#sessions.independent?.endReaders(unread)
    return ending === undefined ? this.#release() : ending.then(() => this.#release())
  }

  #release(): undefined {
    this.#letGo()
    this.#host.forget()
  }

  #letGo(): void {
    this.#sessions.release()
    this.#late?.release()
    this.scope.release(this.#retry.again)
  }
}
