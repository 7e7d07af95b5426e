import type { WalPosition } from '../database/wal-position.ts'
import { AtomicCommit } from '../atomic/atomic-commit.ts'
import { SharedFileError } from '../role/errors.ts'
import type { Engine, OpenOptions } from '../role/engine.ts'
import { SessionDataManager } from '../session/session-data-manager.ts'
import type { Session } from '../session/session.ts'
import type { SessionUnit } from '../session/session-options.ts'
import type { UnitScope } from '../role/unit-scope.ts'
import type { Transaction, TransactionManager } from '../transaction/index.ts'
import type { RoleStatus } from './db-sessions-container.ts'
import { IndependentSessions } from './independent-sessions.ts'
import { OneByOneCommits } from './one-by-one-commits.ts'
import type { UnitPositions } from './positions.ts'
import type { UnitHost, UnitOfWorkOptions } from './unit-host.ts'

/** The unit of work that sessions are opened for. */
interface SessionsOwner {
  readonly scope: UnitScope
  readonly positions: UnitPositions
  readonly container: object
  readonly tm: TransactionManager
  transaction(): Transaction | undefined
}

/** The sessions of a unit of work. Hands each session to the thing that ends it. */
export class UnitSessions {
  readonly #host: UnitHost
  readonly #unit: SessionsOwner
  readonly #options: UnitOfWorkOptions
  readonly #committed: (role: string) => void
  /** What the sessions know of the unit. Made with the first of them. */
  #known: SessionUnit | undefined
  /** The sessions last opened, by role. */
  readonly #last = new Map<string, Session>()
  #independent: IndependentSessions | undefined
  /** How the sessions of the transaction last used are committed. */
  #atomicCommit: { readonly transaction: Transaction; readonly commit: AtomicCommit } | undefined
  #oneByOneCommits: { readonly transaction: Transaction; readonly resource: OneByOneCommits } | undefined

  /** `committed` is called with the role of a session that has committed something. */
  constructor(host: UnitHost, unit: SessionsOwner, options: UnitOfWorkOptions, committed: (role: string) => void) {
    this.#host = host
    this.#unit = unit
    this.#options = options
    this.#committed = committed
  }

  /** The sessions that no transaction manager ends, if there are any. */
  get independent(): IndependentSessions | undefined {
    return this.#independent
  }

  /** The session last opened for each role. */
  get all(): Iterable<Session> {
    return this.#last.values()
  }

  /** The session last opened for a role; it may have ended. */
  last(role: string): Session | undefined {
    return this.#last.get(role)
  }

  /** The session of a role, if one is open. */
  opened(role: string): Session | undefined {
    const session = this.#last.get(role)
    return session?.ended === false ? session : undefined
  }

  status(role: string): RoleStatus {
    const session = this.#last.get(role)
    if (session === undefined) return 'INIT'
    return session.ended ? 'END' : 'START'
  }

  /** Cancels the sessions that are aborted with the unit. */
  cancel(reason: Error): void {
    for (const [role, session] of this.#last) {
      if (this.#host.engine(role).rules.abortsWithUnit) session.cancel(reason)
    }
  }

  /** Whether statements of one are on their way that have their connection. */
  get areBusy(): boolean {
    for (const session of this.#last.values()) if (session.core.isBusy) return true
    return false
  }

  /** Counts up with what they do. */
  get steps(): number {
    let steps = 0
    for (const { core } of this.#last.values()) steps += core.steps
    return steps
  }

  /** Waits for commits that were called and not awaited. */
  async settled(): Promise<void> {
    for (const session of this.#last.values()) if (!session.coordinated && !session.ended) await session.settled()
  }

  /** Opens a session of `engine`. @throws NoTransactionError; what keeps it from joining its transaction */
  open(engine: Engine): Session {
    const { options, role } = engine
    const kept = options.keepSession ? this.#last.get(role)?.em : undefined
    const session = this.#open(engine, kept)
    this.#last.set(role, session)
    return session
  }

  #open(engine: Engine, kept: Session['em'] | undefined): Session {
    const { disableTransaction } = this.#options
    const options = { unit: (this.#known ??= this.#know()), kept }
    if (!engine.joins) return this.#openIndependent(engine, options)
    const transaction = this.#unit.tm.get()
    if (disableTransaction) return this.#openPlain(engine, options, transaction)
    return this.#openJoined(engine, options, transaction)
  }

  #know(): SessionUnit {
    return {
      owner: this.#options.owner,
      user: this.#unit.scope,
      dbSession: this.#unit.container,
      beforeBegin: (role) => this.#assertFileIsFree(this.#host.engine(role)),
      positions: this.#unit.positions,
      committed: (role, position) => this.#noteCommit(this.#host.engine(role), position),
    }
  }

  #noteCommit({ role, database }: Engine, position: WalPosition | undefined): void {
    this.#committed(role)
    if (database.replication?.reportsCommits === true) this.#unit.positions.raise(role, position)
  }

  /** Has the sessions, which entities may keep alive, forget the unit. */
  release(): void {
    const known = this.#known
    if (known === undefined) return
    known.owner = undefined
    known.user = undefined
    known.dbSession = undefined
    known.positions = undefined
    known.beforeBegin = undefined
    known.committed = undefined
  }

  #openIndependent(engine: Engine, options: Omit<OpenOptions, 'coordinated'>): Session {
    const session = engine.open({ ...options, coordinated: false })
    this.#independent ??= new IndependentSessions()
    this.#independent.add({ session, engine, transaction: this.#unit.transaction() })
    return session
  }

  #openPlain(engine: Engine, options: Omit<OpenOptions, 'coordinated'>, transaction: Transaction): Session {
    transaction.assertJoinable()
    const session = engine.open({ ...options, coordinated: false })
    this.#plainCommitsOf(transaction).add(session)
    return session
  }

  #openJoined(engine: Engine, options: Omit<OpenOptions, 'coordinated'>, transaction: Transaction): Session {
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

  /** @throws SharedFileError when another role of this unit holds the lock that this role would wait for */
  #assertFileIsFree({ role, rules, sharesFileWith }: Engine): void {
    if (!rules.writes || sharesFileWith.length === 0) return
    const holder = sharesFileWith.find(
      (other) => this.opened(other)?.transaction.begun === true && this.#host.engine(other).rules.writes,
    )
    if (holder !== undefined) throw new SharedFileError(role, holder)
  }
}
