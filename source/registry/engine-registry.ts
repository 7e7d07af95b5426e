import { CommitPlanner } from '../atomic/commit-planner.ts'
import {
  containerClass,
  DEFAULT_ROLE,
  type DbSessionsContainer,
  type DefaultRole,
  type Engines,
  type EntityManagerOf,
  type SessionSource,
} from '../unit/db-sessions-container.ts'
import { attachEngines } from './attach-engines.ts'
import { transactionsDisabledByEnvironment } from './disable-transaction.ts'
import { closeAll } from './close-all.ts'
import { followReplicas } from './follow-replicas.ts'
import { Engine } from '../role/engine.ts'
import { RegistryClosedError, UnknownRoleError } from './errors.ts'
import { RecoverySchedule } from '../atomic/recovery-schedule.ts'
import type { RecoveryReport } from '../atomic/recovery.ts'
import { resolveGraceOfOneRun, resolveRegistryOptions, type EngineRegistryOptions } from './registry-options.ts'
import { OpenSessions } from './open-sessions.ts'
import { reportOfPrepared, reportOfRole, type PreparedReport, type RegistryReport } from './registry-report.ts'
import { warnOfPoolSizes } from './pool-sizes.ts'
import { renewPools } from './renew-pools.ts'
import { ALL_ROLES, type AllRoles, type DetachedSession, type OrmOf, type RoleOf } from './role-types.ts'
import { assertDefault, defaultRole, resolveEngines } from './resolve-engines.ts'
import { obstacleToRecovery, prepareForSeveral } from './several-databases.ts'
import { DEFAULT_ANY_PREFERENCE } from '../unit/any-preference.ts'
import { run, type RunContext, type RunOptions } from '../unit/run.ts'
import { warnOfUncheckedReplicas } from './replica-roles.ts'
import { rolesBeside, rolesOfSharedFiles, warnOfJournalMode, warnOfSharedWriters } from '../role/shared-sqlite-files.ts'
import { UnderWayCount } from './under-way-count.ts'
import type { UnitOfWorkOptions } from '../unit/unit-host.ts'
import { UnitOfWork } from '../unit/unit-of-work.ts'

/**
 * The roles of an application and the databases behind them.
 *
 * Creating one sends nothing to any database, unless several roles can be changed together: then it asks, in the background,
 * what they can prepare, and settles what a crash left prepared; or unless the pools may open more than 20 connections to one
 * server: then it asks how many that allows. Each ORM without a `contextName` gets the role's name. The global `orm.em` of a
 * scoped role resolves to the session of the request or run the code is in.
 *
 * @throws ConfigurationError for anything that cannot work, naming role, option, the value found and the fix
 */
export class EngineRegistry<E extends Engines = Engines, Sessions extends object = DbSessionsContainer<E>> {
  readonly #engines = new Map<string, Engine>()
  readonly #Container: new (unit: SessionSource) => object
  readonly #default: string | undefined
  readonly #application: string
  readonly #unitDefaults: UnitOfWorkOptions
  readonly #detach: (() => void)[]
  readonly #units = new UnderWayCount()
  readonly #background = new UnderWayCount()
  readonly #sessions = new OpenSessions()
  readonly #closeTimeoutMs: number
  readonly #recovery: RecoverySchedule
  /** How several databases are committed as one. For the unit of work. @internal */
  readonly commitPlanner: CommitPlanner
  /** How long a client's position counts: the longest `maxLagMs`; 0 where no role reads from replicas. @internal */
  readonly longestLagMs: number
  #closing: Promise<void> | undefined

  constructor(engines: E, registryOptions: EngineRegistryOptions<Sessions> = {}) {
    const {
      disableTransaction,
      atomic,
      everyMs,
      graceMs,
      name,
      closeTimeoutMs,
      processes,
      containerClass: Base,
    } = resolveRegistryOptions(registryOptions)
    this.#unitDefaults = {
      owner: undefined,
      anyPreference: DEFAULT_ANY_PREFERENCE,
      disableTransaction: disableTransaction ?? transactionsDisabledByEnvironment(),
    }
    const resolved = resolveEngines(engines)
    this.#default = defaultRole(resolved)
    this.#application = name
    this.#closeTimeoutMs = closeTimeoutMs
    this.#Container = containerClass(
      resolved.map(({ role }) => role),
      Base,
    )
    const shared = rolesOfSharedFiles(resolved)
    const background = (work: Promise<void>): void => this.watch(work)
    for (const options of resolved) {
      const sharesFileWith = rolesBeside(options.role, shared)
      this.#engines.set(options.role, new Engine(options, { sharesFileWith, background }))
    }
    this.longestLagMs = followReplicas(this, this.#engines)
    warnOfUncheckedReplicas(resolved)
    this.#detach = attachEngines(this, this.#engines.values())
    for (const sharing of shared) {
      warnOfSharedWriters(sharing)
      // A database that cannot be asked yet fails when it is used.
      this.watch(warnOfJournalMode(sharing.map(({ role }) => this.engine(role))).catch(() => undefined))
    }
    const engineList = [...this.#engines.values()]
    this.watch(warnOfPoolSizes(engineList, processes))
    this.#recovery = new RecoverySchedule(
      {
        application: name,
        graceMs,
        engines: engineList.filter(({ rules }) => rules.writes),
        obstacle: (role) => obstacleToRecovery(this, this.engine(role)),
      },
      everyMs,
    )
    this.commitPlanner = new CommitPlanner({
      application: name,
      atomic,
      defaultRole: this.#default,
      engines: engineList,
      needRecovery: () => this.#recovery.soon(),
    })
    if (this.disablesTransactions) return
    const joining = engineList.filter(({ joins }) => joins)
    const preparing = prepareForSeveral(joining, this.commitPlanner, this.#recovery)
    if (preparing !== undefined) this.watch(preparing)
  }

  /** The names of the roles, in the order they were given. */
  get names(): readonly (keyof E & string)[] {
    return [...this.#engines.keys()]
  }

  /** The name of the default role: the one with `default: true`, else the only one, else `writer`. */
  get default(): (keyof E & string) | undefined {
    return this.#default
  }

  /** Whether units of work commit session by session, by the option or the environment. */
  get disablesTransactions(): boolean {
    return this.#unitDefaults.disableTransaction
  }

  /** Whether there is a role of this name. */
  has(role: string): boolean {
    return this.#engines.has(role)
  }

  /** The MikroORM instance of a role. @throws UnknownRoleError; ConfigurationError for `'!default'` without a default */
  get<Role extends keyof E & string>(role: Role): OrmOf<E[Role]>
  get(role: DefaultRole): OrmOf<E[keyof E]>
  get(role: string): unknown {
    return this.engine(role).options.orm
  }

  /**
   * A unit of work outside HTTP, for jobs, queues and scripts: committed when `work` is done, aborted when it throws or
   * doomed its transaction, tried again, in a new unit, after an error worth retrying as often as `attempts` allows.
   * @throws what the work or the commit threw; RegistryClosedError (`SQLASSIST_REGISTRY_CLOSED`) after `close()`;
   *   ConfigurationError for an option that cannot work
   */
  run<T>(work: (context: RunContext<E, Sessions>) => Promise<T> | T, options: RunOptions = {}): Promise<T> {
    const series = {}
    return run((unit) => this.start({ ...this.#unitDefaults, series, ...unit }), work, options, this.names)
  }

  /**
   * A session outside of any request or run: an entity manager whose transaction begins with its first statement and is
   * ended by `em.commit()` or `em.rollback()`, as often as need be. Its caller closes it, which rolls back what is open:
   * `await using em = registry.session('writer')`, or `await em.close()`.
   * @throws UnknownRoleError; RegistryClosedError after `close()`
   */
  session<Role extends keyof E & string>(role: Role): DetachedSession<EntityManagerOf<E[Role]>>
  session(role: DefaultRole): DetachedSession<EntityManagerOf<E[keyof E]>>
  session(role: string): unknown {
    this.assertOpen()
    return this.#sessions.open(this.engine(role), role)
  }

  /**
   * Drops the connection pool of a role, or of all (`'!all'`, the default), and opens a new one: for a process that was
   * forked, or a database that moved. What is under way ends over the old pool, which is closed then; what starts meanwhile
   * uses the new one, for which it waits on SQLite. Waits until the old one is closed; not inside of a unit of work, nor
   * while a `registry.session()` is in use, which may be what has its connections.
   * @throws UnknownRoleError; RegistryClosedError after `close()`; the first error of a pool
   */
  async reinit(role: RoleOf<E> | DefaultRole | AllRoles = ALL_ROLES): Promise<void> {
    this.assertOpen()
    await this.#renew(role, (engine, untilClosed) => engine.reinit(untilClosed))
  }

  /**
   * Drops the connection pool of a role, or of all (`'!all'`, the default), as `reinit` does; the next statement opens a new
   * one. An ORM that got its `contextName` here has its own again meanwhile.
   * @throws UnknownRoleError
   */
  async dispose(role: RoleOf<E> | DefaultRole | AllRoles = ALL_ROLES): Promise<void> {
    await this.#renew(role, (engine, untilClosed) => engine.dispose(untilClosed))
  }

  /** The registry as it is now, with every role's options and pool, for a health check. Sends nothing. */
  async inspect(): Promise<RegistryReport> {
    const engines = [...this.#engines.values()]
    return {
      unitsUnderWay: this.#units.count,
      disablesTransactions: this.disablesTransactions,
      roles: await Promise.all(engines.map((engine) => reportOfRole(engine, this.#default))),
    }
  }

  /** The transactions that this application has prepared and not finished, role by role, or the error of a database. */
  async inDoubt(): Promise<PreparedReport[]> {
    return await reportOfPrepared([...this.#engines.values()], this.#application)
  }

  /**
   * Settles what a crash, or a lost connection, left prepared: commits or rolls back each of this application's prepared
   * transactions as was decided, and reports those that could not be. It is safe at any time and from many processes at
   * once, and runs automatically as the option `recover` says.
   *
   * `graceMs`: how old a prepared transaction has to be before it is looked at. The process that prepared a younger one is
   * likely to finish it; looked at, it is aborted unless it is decided already. Default: that of the option `recover`.
   */
  async recover(options: { readonly graceMs?: number | undefined } = {}): Promise<RecoveryReport> {
    this.assertOpen()
    const grace = resolveGraceOfOneRun(options)
    const { committed, rolledBack, left } = await this.#recovery.run(grace)
    return { committed, rolledBack, left }
  }

  /**
   * Refuses new units of work with RegistryClosedError, waits for those under way, and for sessions and streams that are open,
   * and closes all ORMs. What is open after `closeTimeoutMs` is named, and its connections are closed. Another call waits for
   * the first.
   * @throws the first error of a pool that does not close; RegistryCloseTimeoutError
   */
  close(): Promise<void> {
    this.#closing ??= closeAll({
      registry: this,
      limitMs: this.#closeTimeoutMs,
      engines: [...this.#engines.values()],
      units: this.#units,
      recovery: this.#recovery,
      background: this.#background,
      sessions: this.#sessions,
      detach: this.#detach,
    })
    return this.#closing
  }

  /** The same as `close()`: `await using registry = new EngineRegistry(engines)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Starts a unit of work. The caller owes its `commit()` or `abort()`. For the rooms above. @internal */
  start(options: UnitOfWorkOptions): UnitOfWork {
    this.assertOpen()
    const unit = new UnitOfWork(this, this.#Container, options)
    this.#units.add()
    return unit
  }

  /** Counts a unit of work again that had ended and reads for its streamed body. @internal */
  resume(): void {
    this.assertOpen()
    this.#units.add()
  }

  /** @throws UnknownRoleError; ConfigurationError for `'!default'` where no role is the default. @internal */
  engine(role: string): Engine {
    const engine = this.#engines.get(role === DEFAULT_ROLE ? assertDefault(this.#default, this.names) : role)
    if (engine === undefined) throw new UnknownRoleError(role, this.#engines.keys())
    return engine
  }

  /** Counts a unit of work no longer. @internal */
  forget(): void {
    this.#units.remove()
  }

  async #renew(role: string, renew: Parameters<typeof renewPools>[1]): Promise<void> {
    const engines = role === ALL_ROLES ? [...this.#engines.values()] : [this.engine(role)]
    await renewPools(engines, renew, { sessions: this.#sessions, watch: (work) => this.watch(work) })
  }

  /** @throws RegistryClosedError after `close()`. For the rooms above. @internal */
  assertOpen(): void {
    if (this.#closing !== undefined) throw new RegistryClosedError()
  }

  /** Waits until no unit of work is under way, and nothing in the background. For the rooms above. @internal */
  async whenQuiet(): Promise<void> {
    await this.#units.whenEmpty()
    await this.#background.whenEmpty()
  }

  /** Owns a promise that nobody waits for. It must not reject. For the rooms above and below. @internal */
  watch(work: Promise<void>): void {
    this.#background.add()
    void work.finally(() => this.#background.remove())
  }
}
