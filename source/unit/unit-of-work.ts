import {
  NoTransactionError,
  TransactionManager,
  TransientError,
  type DataManager,
  type Transaction,
} from '../transaction/index.ts'
import { SharedFileError, askedTooLate } from '../role/errors.ts'
import { isRetryable } from '../database/retryable.ts'
import { SessionDataManager } from '../session/session-data-manager.ts'
import type { Session } from '../session/session.ts'
import { AtomicCommit } from '../atomic/atomic-commit.ts'
import type { CommitPlanner } from '../atomic/commit-planner.ts'
import {
  unitEndChannel,
  unitStartChannel,
  type AbortReason,
  type UnitEndFacts,
  type UnitFacts,
} from './unit-channels.ts'
import { UnitScope } from '../role/unit-scope.ts'
import { DEFAULT_ROLE, type RoleStatus, type SessionSource } from './db-sessions-container.ts'
import type { Engine } from '../role/role.ts'
import { NotRetriedError, TransactionsDisabledError } from './errors.ts'
import { PartialCommitError } from '../atomic/errors.ts'
import { IndependentSessions } from './independent-sessions.ts'
import { OneByOneCommits } from './one-by-one-commits.ts'
import { report } from '../transaction/warnings.ts'

/** The registry that a unit of work was started by. */
export interface UnitHost {
  readonly names: readonly string[]
  readonly commitPlanner: CommitPlanner
  has(role: string): boolean
  /** @throws UnknownRoleError; ConfigurationError for `'!default'` where no role is the default */
  engine(role: string): Engine
  /** Owns a promise that nobody waits for. It must not reject. */
  watch(work: Promise<void>): void
  /** A unit that had ended reads again. @throws RegistryClosedError */
  resume(): void
  /** A unit has ended. */
  forget(): void
}

/** What a unit of work is told when it starts. */
export interface UnitOfWorkOptions {
  /** What its sessions belong to: the Koa ctx in a request. */
  readonly owner: unknown
  readonly anyPreference: readonly string[]
  readonly disableTransaction: boolean
  /** The manager to use; by default a new explicit one. */
  readonly manager?: TransactionManager | undefined
  /** What its transaction is noted as, told its owner. */
  readonly note?: ((owner: any) => string) | undefined
  /** The same for every attempt at the same work. Default: the owner, or what is the unit's own. */
  readonly series?: object | undefined
  /** Which attempt at the same work this is, counted from 1. Default 1. */
  readonly attempt?: number | undefined
  /** Whether there is another attempt after this one. Default `false`. */
  readonly mayRetry?: boolean | undefined
  /** Asked when an error is worth retrying: why there can be no other attempt, if so. */
  readonly obstacle?: (() => string | undefined) | undefined
}

/** How it ends. */
type Ending = Pick<UnitEndFacts, 'outcome'> & Partial<Pick<UnitEndFacts, 'reason' | 'error'>>

/** Who wants to know of a unit of work. */
export interface UnitObserver {
  /** Called once, when the first session is opened. */
  firstSession(): void
}

/** What reads from the sessions of a unit of work that has ended: a streamed body. */
export interface LateReader {
  /** Whether it reads no more. */
  readonly isOver: boolean
  /** Resolves when it reads no more: whether it has read to its end. Never rejects. */
  over(): Promise<boolean>
  /** Called with the error that a use of anything else meets. */
  usedTooLate(error: Error): void
}

/** One request or one run: its transaction manager and the sessions it opened. */
export class UnitOfWork implements SessionSource {
  readonly #host: UnitHost
  readonly container: object
  observer: UnitObserver | undefined
  readonly #options: UnitOfWorkOptions
  /** The asynchronous context of its code. */
  readonly scope: UnitScope
  /** The sessions last opened, by role. */
  readonly #sessions = new Map<string, Session>()
  #independent: IndependentSessions | undefined
  #tm: TransactionManager | undefined
  /** Whether its transaction is begun by the first use of it. */
  #beginsLater = false
  /** The transaction that was begun in this way. */
  #begunLater: Transaction | undefined
  /** How the sessions of the transaction last used are committed. */
  #atomicCommit: { readonly transaction: Transaction; readonly commit: AtomicCommit } | undefined
  #oneByOneCommits: { readonly transaction: Transaction; readonly resource: OneByOneCommits } | undefined
  /** What may read from read-only roles when this has ended well. */
  #lateReader: LateReader | undefined
  #mayReadLate = false
  /** Whether it does: the registry waits for it. */
  #isWaitedFor = false
  #cancelled: Error | undefined
  /** The abort that a cancellation started from outside. */
  #aborting: Promise<void> | undefined
  #ended = false
  /** Whether its end has begun: what is over by it is not opened again. */
  #isEnding = false
  /** What is committed: roles, and other data managers. */
  readonly #committed = new Set<string>()
  #retries = false
  #notRetried: NotRetriedError | undefined

  constructor(host: UnitHost, Container: new (unit: SessionSource) => object, options: UnitOfWorkOptions) {
    this.#host = host
    this.#options = options
    this.scope = new UnitScope(this.#host, this, options.owner !== undefined && options.mayRetry === true)
    this.container = new Container(this)
    if (unitStartChannel.hasSubscribers) unitStartChannel.publish(this.#facts())
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Its transaction manager. */
  get tm(): TransactionManager {
    const tm = (this.#tm ??= managerFor(this.#options, this.#finishing))
    if (this.#beginsLater) {
      this.#beginsLater = false
      // A new manager without synchronizers begins at once.
      void tm.begin()
      this.#begunLater = tm.get()
      this.#note(this.#begunLater)
    }
    return tm
  }

  /** Its transaction manager, for its code. @throws UnitOfWorkEndedError after the end */
  get tmInUse(): TransactionManager {
    if (this.#ended) throw managerAskedTooLate()
    return this.tm
  }

  /**
   * Begins its transaction: as soon as anybody asks for it, so that a unit of work in which nobody does goes without. Under a
   * manager of the program's own, whose synchronizers are told, at once.
   */
  begin(): Promise<void> | undefined {
    if (this.#options.manager !== undefined) return this.#beginNow()
    this.#beginsLater = true
    return undefined
  }

  async #beginNow(): Promise<void> {
    await this.tm.begin()
    this.#begunLater = this.tm.get()
    this.#note(this.#begunLater)
  }

  readonly #committing = (role: string): void => void this.#committed.add(`role "${role}"`)

  readonly #finishing = (resources: readonly DataManager[]): void => {
    if (resources.some((resource) => !isOfSessions(resource))) this.#committed.add('another data manager')
  }

  #note(transaction: Transaction): void {
    const { note, owner } = this.#options
    if (note !== undefined) transaction.note(note(owner))
  }

  /** Whether the error that ended it is worth another attempt, and there is one. */
  get retries(): boolean {
    return this.#retries
  }

  /** Whether it has not ended, and its transaction is not committed yet. */
  get isOpen(): boolean {
    return !this.#ended && this.transaction()?.status !== 'Committed'
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
    const open = this.#sessions.get(role)
    if (open !== undefined && !open.ended) return open
    const engine = this.#host.engine(role)
    // Another one would know nothing of what the first one was about to write, and nobody would end it.
    if (open !== undefined && this.#isEnding && !this.#ended) throw askedTooLate(`The session of role "${role}"`)
    if (this.#cancelled !== undefined && engine.rules.abortsWithUnit) throw this.#cancelled
    if (this.#ended) this.#readLate(engine)
    const session = this.#open(engine, engine.options.keepSession ? open?.em : undefined)
    this.#sessions.set(role, session)
    if (this.#lateReader !== undefined) this.#watchLateUse(session)
    if (this.observer !== undefined) {
      this.observer.firstSession()
      this.observer = undefined
    }
    return session
  }

  /** Whether it has ended, and its streamed body may read from read-only roles. */
  get isReadLate(): boolean {
    return this.#mayReadLate && this.#lateReader?.isOver === false
  }

  /** Lets a streamed body open a session. @throws UnitOfWorkEndedError; RegistryClosedError */
  #readLate({ role, rules }: Engine): void {
    if (!this.isReadLate || !rules.readsLate) {
      const error = askedTooLate(`The session of role "${role}"`)
      this.#lateReader?.usedTooLate(error)
      throw error
    }
    if (this.#isWaitedFor) return
    this.#host.resume()
    this.#closeWhenRead()
  }

  /** The session of a role, if one is open. */
  opened(role: string): Session | undefined {
    const session = this.#sessions.get(role)
    return session?.ended === false ? session : undefined
  }

  /** Whether this unit's session of a role has a transaction open. */
  holdsConnection(role: string): boolean {
    return this.opened(role)?.begun === true
  }

  /** @throws SharedFileError when another role of this unit holds the lock that this one would wait for */
  #assertFileIsFree({ role, sharesFileWith }: Engine): void {
    const holder = sharesFileWith.find((other) => this.holdsConnection(other) && this.#host.engine(other).rules.writes)
    if (holder !== undefined) throw new SharedFileError(role, holder)
  }

  anySession(): Session {
    // A piped body is read while the unit ends, and would find the sessions that end with it.
    const reading = this.#lateReader !== undefined
    const preference = this.#options.anyPreference.filter(
      (role) => this.#host.has(role) && (!reading || this.#host.engine(role).rules.readsLate),
    )
    const role = preference.find((name) => this.#sessions.get(name)?.ended === false) ?? preference[0]
    return this.session(role ?? this.defaultRole)
  }

  status(): Record<string, RoleStatus> {
    return Object.fromEntries(this.#host.names.map((role) => [role, this.#status(role)]))
  }

  /** The transaction under way, if there is one. */
  transaction(): Transaction | undefined {
    if (this.#tm === undefined || this.#beginsLater || this.#ended) return undefined
    try {
      return this.#tm.get()
    } catch (error) {
      if (error instanceof NoTransactionError) return undefined
      throw error
    }
  }

  /** Whether the work has ended its transaction, or begun to commit it, and has begun no other. */
  get isSettled(): boolean {
    const transaction = this.transaction()
    if (transaction !== undefined) return transaction.status === 'Committing'
    return !this.#beginsLater && this.#aborting === undefined
  }

  /** Whether the work has committed something, or begun to. */
  get hasCommitted(): boolean {
    const status = this.#begunLater?.status
    return this.#committed.size > 0 || status === 'Committed' || status === 'Committing'
  }

  /**
   * Cancels what its sessions are doing, unless they have a transaction of their own, and aborts the transaction; from here
   * on every use of them throws `reason`. A commit that has begun is finished. The unit is still to be ended.
   */
  cancel(reason: Error): void {
    const transaction = this.transaction()
    if (transaction?.status === 'Committing') return
    this.#cancelled = reason
    for (const [role, session] of this.#sessions) {
      if (this.#host.engine(role).rules.abortsWithUnit) session.cancel(reason)
    }
    const aborting = transaction?.abort().catch((error: unknown) => report(error, `while aborting: ${reason.message}`))
    this.#aborting = aborting
    if (aborting !== undefined) this.#host.watch(aborting)
  }

  /** Lets `reader` read from read-only roles, when this unit has ended well, until it is over. */
  readBy(reader: LateReader): void {
    this.#lateReader = reader
    for (const session of this.#sessions.values()) this.#watchLateUse(session)
  }

  #watchLateUse(session: Session): void {
    session.onLateUse = (error) => this.#lateReader?.usedTooLate(error)
  }

  /**
   * Ends the unit of work by a commit: at once, without a promise, where there is nothing to wait for.
   * @throws the first error: of the transaction, which is then aborted, else of an autonomous session
   */
  commit(): Promise<void> | undefined {
    if (this.#beginsLater && this.#independent?.needsCommit !== true) {
      this.#beginsLater = false
      return this.#end({ outcome: 'committed' })
    }
    return this.#finish({ outcome: 'committed' }, async (transaction) => {
      try {
        if (this.#independent !== undefined) {
          await this.#independent.assertCommittable()
          await this.#independent.flushReaders((beside) => this.#isLost(beside, transaction))
        }
        // A subscriber of that flush may have asked for it only now.
        await this.transaction()?.commit()
      } catch (error) {
        await this.#abortTransaction(error)
        throw error
      }
    })
  }

  /**
   * Whether what was changed through a read-only role beside a transaction was given up with it: one that the handler has
   * aborted by itself.
   */
  #isLost(beside: Transaction | undefined, current: Transaction | undefined): boolean {
    const transaction = beside ?? this.#begunLater
    return transaction !== undefined && transaction !== current && transaction.status !== 'Committed'
  }

  /** Ends the unit of work by an abort. @throws the first error */
  async abort(reason: AbortReason): Promise<void> {
    await this.#finish({ outcome: 'aborted', reason }, async (transaction) => {
      await transaction?.abort()
    })
  }

  /** Ends the unit of work by an abort because of `error`, which stays the error to tell: what else fails is reported. */
  async abortBecauseOf(error: unknown): Promise<void> {
    const reason = this.#cancelled === undefined ? 'failed' : 'cancelled'
    try {
      await this.#finish({ outcome: 'aborted', reason, error }, () => this.#abortTransaction(error))
    } catch (later) {
      if (later !== error) report(later, `while aborting because of: ${String(error)}`)
    }
  }

  /** What the caller is to be told when `error` ended this unit. */
  verdict(error: unknown): unknown {
    return this.#notRetried ?? (this.#isAttempted && isRetryable(error) ? this.#notRetriedSince(error) : error)
  }

  /** Whether the same work may be, or was, run more than once. */
  get #isAttempted(): boolean {
    return this.#options.mayRetry === true || (this.#options.attempt ?? 1) > 1
  }

  /** The error where something is committed: another attempt would do it twice. */
  #notRetriedSince(error: unknown): unknown {
    if (this.#committed.size === 0) return error
    const stored = [...this.#committed].join(', ')
    return new NotRetriedError(`part of the work is committed already and stays so: ${stored}`, error)
  }

  /** Aborts, and decides about another attempt: who knows whether it is worth it is asked before, and has left then. */
  async #abortTransaction(error: unknown): Promise<void> {
    try {
      const reason = error instanceof PartialCommitError ? error.cause : error
      const isWorthIt = this.#isAttempted && this.#cancelled === undefined && (await this.#isRetryable(reason))
      await this.#whatIsUnderWay()
      await this.transaction()?.abort()
      if (isWorthIt) await this.#decideOnRetry(error, reason)
    } catch (later) {
      if (later !== error) report(later, `while aborting because of: ${String(error)}`)
    }
  }

  /** A commit that was called meanwhile is not to be broken off. */
  async #whatIsUnderWay(): Promise<void> {
    while (this.transaction()?.underWay !== undefined) await Promise.allSettled([this.transaction()?.underWay])
  }

  async #isRetryable(reason: unknown): Promise<boolean> {
    return (
      reason instanceof TransientError ||
      isRetryable(reason) ||
      (await this.transaction()?.isRetryableError(reason)) === true
    )
  }

  async #decideOnRetry(error: unknown, reason: unknown): Promise<void> {
    // A commit that nobody awaited may be on its way.
    for (const session of this.#sessions.values()) if (!session.coordinated && !session.ended) await session.settled()
    if (error instanceof PartialCommitError) this.#notRetried = new NotRetriedError(error.obstacle, reason)
    else if (this.#committed.size > 0) this.#notRetried = this.#notRetriedSince(error) as NotRetriedError
    if (this.#notRetried !== undefined || this.#options.mayRetry !== true) return
    const obstacle = this.#options.obstacle?.()
    if (obstacle === undefined) this.#retries = true
    else this.#notRetried = new NotRetriedError(obstacle, reason)
  }

  /** Ends the transaction, then the sessions that do not belong to it, whatever came of the first. */
  async #finish(plan: Ending, endTransaction: (transaction: Transaction | undefined) => Promise<void>): Promise<void> {
    let failures: unknown[] = []
    this.#isEnding = true
    // It never rejects.
    if (this.#aborting !== undefined) await this.#aborting
    let ending: Ending = plan
    try {
      const underWay = this.transaction()?.underWay
      if (underWay !== undefined) await this.#join(underWay)
      const transaction = this.transaction()
      const wasEnded = transaction === undefined && this.#aborting === undefined && !this.#beginsLater
      if (wasEnded) ending = { ...plan, outcome: 'ended' }
      await endTransaction(transaction)
    } catch (error) {
      failures.push(error)
      ending = { outcome: 'aborted', reason: plan.reason ?? 'failed' }
    }
    this.#beginsLater = false
    if (this.#independent !== undefined) {
      failures = [...failures, ...(await this.#independent.endWriters(this.#retries))]
    }
    // By em.commit() of a role of its own, when it was decided already.
    if (this.#retries && this.#committed.size > 0) {
      this.#retries = false
      this.#notRetried = this.#notRetriedSince(failures[0]) as NotRetriedError
    }
    const closing = this.#end({ error: failures[0], ...ending })
    if (closing !== undefined) await closing
    for (const later of failures.slice(1)) report(later, `after: ${String(failures[0])}`)
    if (failures.length > 0) throw failures[0]
  }

  /** The handler has called commit(), abort() or savepoint() and not awaited it: what comes of it comes of this unit. */
  async #join(underWay: Promise<unknown>): Promise<void> {
    try {
      await underWay
    } catch (error) {
      await this.#abortTransaction(error)
      throw error
    }
  }

  #end({ outcome, reason, error }: Ending): Promise<void> | undefined {
    this.#ended = true
    // Nobody would end what code of this unit begins from here on.
    if (this.#tm !== this.#options.manager) this.#tm?.close(managerAskedTooLate)
    const closing = this.#endReaders(error !== undefined || reason === 'failed' || reason === 'cancelled')
    if (unitEndChannel.hasSubscribers) {
      const message: UnitFacts & UnitEndFacts = { ...this.#facts(), outcome, reason, error, retries: this.#retries }
      unitEndChannel.publish(message)
    }
    return closing
  }

  #facts(): UnitFacts {
    const { owner, attempt = 1 } = this.#options
    const series = this.#options.series ?? (owner as object | undefined) ?? this.container
    return { registry: this.#host, owner, dbSession: this.container, tm: this.tm, series, attempt }
  }

  #endReaders(hasFailed: boolean): Promise<void> | undefined {
    this.#mayReadLate = !hasFailed
    if (!this.isReadLate) return this.#close(this.#lateReader?.isOver === true)
    if (this.#independent?.hasReaders === true) this.#closeWhenRead()
    else {
      // Nobody waits for a body that does not read.
      this.#host.forget()
      void this.#lateReader?.over().then(() => this.scope.release(this.#retries))
    }
    return undefined
  }

  #closeWhenRead(): void {
    this.#isWaitedFor = true
    const over = this.#lateReader?.over() ?? Promise.resolve(true)
    this.#host.watch(over.then((wasRead) => this.#close(!wasRead)))
  }

  /** `unread`: nobody waits for what they do. */
  #close(unread: boolean): Promise<void> | undefined {
    const ending = this.#independent?.endReaders(unread)
    if (ending !== undefined) return ending.then(() => this.#release())
    this.#release()
    return undefined
  }

  #release(): void {
    this.scope.release(this.#retries)
    this.#host.forget()
  }

  #open(engine: Engine, kept: Session['em'] | undefined): Session {
    const { owner, disableTransaction } = this.#options
    const { joins, rules } = engine
    const beforeBegin =
      engine.sharesFileWith.length > 0 && rules.writes ? (): void => this.#assertFileIsFree(engine) : undefined
    const options = { owner, dbSession: this.container, kept, beforeBegin, committed: this.#committing }
    if (!joins) {
      const session = engine.open({ ...options, coordinated: false })
      this.#independent ??= new IndependentSessions()
      this.#independent.add({ session, engine, transaction: this.transaction() })
      return session
    }
    const transaction = this.tm.get()
    if (disableTransaction) {
      transaction.assertJoinable()
      const session = engine.open({ ...options, coordinated: false })
      this.#plainCommitsOf(transaction).add(session)
      return session
    }
    const session = engine.open({ ...options, coordinated: true })
    const group = this.#atomicCommitOf(transaction)
    try {
      transaction.join(new SessionDataManager(session, group, engine.options.pipelineCommit))
    } catch (error) {
      // With keepSession the program holds its entity manager already, which would work outside of any transaction.
      session.end('it could not join its transaction')
      throw error
    }
    group.add({ session, engine })
    return session
  }

  #atomicCommitOf(transaction: Transaction): AtomicCommit {
    if (this.#atomicCommit?.transaction !== transaction) {
      this.#atomicCommit = { transaction, commit: new AtomicCommit(this.#host.commitPlanner) }
    }
    return this.#atomicCommit.commit
  }

  #plainCommitsOf(transaction: Transaction): OneByOneCommits {
    if (this.#oneByOneCommits?.transaction !== transaction) {
      const resource = new OneByOneCommits()
      transaction.join(resource)
      this.#oneByOneCommits = { transaction, resource }
    }
    return this.#oneByOneCommits.resource
  }

  #status(role: string): RoleStatus {
    const session = this.#sessions.get(role)
    if (session === undefined) return 'INIT'
    return session.ended ? 'END' : 'START'
  }
}

function managerFor(
  { disableTransaction, manager, attempt }: UnitOfWorkOptions,
  finishing: (resources: readonly DataManager[]) => void,
): TransactionManager {
  if (disableTransaction) return new TransactionManager({ explicit: true, attempt, admit: refuseAllButSessions })
  return manager ?? new TransactionManager({ explicit: true, attempt, finishing })
}

function isOfSessions(resource: DataManager): boolean {
  return resource instanceof SessionDataManager || resource instanceof OneByOneCommits
}

function managerAskedTooLate(): Error {
  return askedTooLate('The transaction')
}

function refuseAllButSessions(resource: unknown): void {
  if (!(resource instanceof OneByOneCommits)) throw new TransactionsDisabledError()
}
