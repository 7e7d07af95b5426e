import type { ForkOptions } from '@mikro-orm/core'
import type { AbstractSqlDriver, SqlEntityManager } from '@mikro-orm/sql'
import type { Database, PoolSize, Renewal } from '../database/database.ts'
import type { DecisionSurvey } from '../database/decisions.ts'
import { DecisionTableError } from '../database/errors.ts'
import type { PoolReport } from '../database/pool-report.ts'
import type { PreparedSurvey } from '../database/prepared.ts'
import { foreignEntityGuard } from '../session/entity-ownership.ts'
import { Session } from '../session/session.ts'
import type { SessionSettings, SessionUnit } from '../session/session-options.ts'
import { sessionForks } from '../session/session-entity-manager.ts'
import { isConnected, noteClosed } from './connecting.ts'
import { keepingOptions } from './keeping-options.ts'
import { connectionsOf } from '../database/connections-of.ts'
import { giveBackContextName, reclaimContextName } from './context-names.ts'
import { databaseOf } from './database-of.ts'
import { relationsOf } from './relations-of.ts'
import { rulesOf, type RoleRules } from './role-kinds.ts'
import type { ResolvedEngineOptions } from './engine-options.ts'
import { ConfigurationError } from './errors.ts'
import { GLOBAL_ID_PREFIX } from '../database/prepared.ts'

/** The request or run that a session is opened for. */
export interface OpenOptions {
  readonly unit: SessionUnit
  /** Whether a transaction manager commits it. */
  readonly coordinated: boolean
  /** The entity manager of an ended session with `keepSession`; the new session takes it over. */
  readonly kept?: SqlEntityManager | undefined
}

/** What a role has around it in its registry. */
interface EngineSurroundings {
  /** The other roles on the same SQLite file. */
  readonly sharesFileWith: readonly string[]
  /** Takes over a promise that nobody waits for. */
  readonly background: (work: Promise<void>) => void
}

/** One role at run time: opens its sessions. */
export class Engine {
  readonly options: ResolvedEngineOptions
  readonly rules: RoleRules
  readonly #forks: (options: ForkOptions) => SqlEntityManager
  // The entity manager would lead to the session inside a unit of work.
  readonly #driver: AbstractSqlDriver
  /** Its database, or what stands in for it. */
  database: Database
  /** The other roles on the same SQLite file. */
  readonly sharesFileWith: readonly string[]
  readonly #settings: SessionSettings
  /** What its database can prepare, once asked. */
  #preparing: Promise<PreparedSurvey> | undefined
  /** The name of its database, once asked. */
  #called: Promise<string> | undefined

  constructor(options: ResolvedEngineOptions, { background, sharesFileWith }: EngineSurroundings) {
    this.options = options
    this.sharesFileWith = sharesFileWith
    this.rules = rulesOf(options.kind)
    this.#forks = sessionForks(options.orm.em as SqlEntityManager)
    this.#driver = options.orm.driver
    assertOwnPool(options)
    this.database = databaseOf(options.role, this.#driver)
    assertPipelining(options, this.database)
    this.#settings = settingsOf(options, this, background)
  }

  get role(): string {
    return this.options.role
  }

  /** Whether its sessions can be changed as part of the one transaction. */
  get joins(): boolean {
    return this.rules.commits === 'with the transaction'
  }

  /** Whether its ORM has connected and was not closed since. */
  get connected(): boolean {
    return isConnected(this.#driver.getConnection('write'))
  }

  /** That of the pool to its primary, as it is configured. */
  get poolSize(): PoolSize | undefined {
    return this.database.poolSize
  }

  /** How many connections its server allows. @throws the driver's error */
  async allowedConnections(): Promise<number | undefined> {
    return await this.database.allowedConnections()
  }

  /** Whether its transactions can be prepared if the server lets them. */
  get mayPrepare(): boolean {
    return this.database.prepared !== undefined && this.options.twoPhase !== false
  }

  /** Whether its transactions can be prepared. @throws the driver's error when its database could not be asked */
  async canPrepare(): Promise<boolean> {
    return this.mayPrepare && (this.options.twoPhase === true || (await this.#prepares()).maxPrepared > 0)
  }

  /**
   * The name of its database in the decisions of others: the one that the library gave it. Without one, its database and
   * server, which is true until that server starts again. @throws the driver's error
   */
  async databaseName(): Promise<string> {
    const called = (this.#called ??= this.#askName())
    try {
      return await called
    } catch (error) {
      this.#called = undefined
      throw error
    }
  }

  /** Reads the decisions in its database. @throws the driver's error */
  async surveyDecisions(olderThanMs: number): Promise<DecisionSurvey> {
    const survey = await this.database.decisions.survey(olderThanMs)
    const called = await this.#called?.catch(() => undefined)
    if (called !== survey.name && called !== survey.identity) this.#called = undefined
    return survey
  }

  /** Reads the prepared transactions of its database. @throws the driver's error */
  async surveyPrepared(prefix: string): Promise<PreparedSurvey> {
    const { prepared } = this.database
    if (prepared === undefined) throw new TypeError(`${this.dialect} prepares nothing`)
    const survey = prepared.survey(prefix)
    this.#preparing = survey
    try {
      return await survey
    } catch (error) {
      this.#preparing = undefined
      throw error
    }
  }

  /** Forgets all answers of its database, which may have become another. */
  lookAgain(): void {
    this.#preparing = undefined
    this.#called = undefined
    this.database.decisions.lookAgain()
  }

  async #askName(): Promise<string> {
    try {
      return (await this.database.decisions.ready()).database
    } catch (error) {
      if (!(error instanceof DecisionTableError)) throw error
      return (await this.#prepares()).identity
    }
  }

  async #prepares(): Promise<PreparedSurvey> {
    return await (this.#preparing ?? this.surveyPrepared(GLOBAL_ID_PREFIX))
  }

  get dialect(): Database['dialect'] {
    return this.database.dialect
  }

  /** SQLite's journal mode, as the file has it. */
  async journalMode(): Promise<string> {
    const [row] = await this.#driver.getConnection('write').execute<{ journal_mode: string }[]>('pragma journal_mode')
    return row?.journal_mode ?? 'unknown'
  }

  /** Has its sessions from here on use what `make` makes of its database. Returns the step that undoes it. */
  standIn(make: (database: Database) => Database): () => void {
    const { database } = this
    this.database = make(database)
    return () => void (this.database = database)
  }

  /** A fresh session. Sends nothing and takes no connection before its first statement. */
  open({ unit, coordinated, kept }: OpenOptions): Session {
    reclaimContextName(this.options.orm)
    return new Session(kept ?? this.#fork(this.options.fork), this.database, this.#settings, {
      unit,
      coordinated: coordinated || !this.rules.writes,
    })
  }

  /** Closes its ORM, when all connections are given back. Sessions that would begin something then throw `closed`. */
  async close(closed: () => Error): Promise<void> {
    const end = await this.database.closing()
    this.#settings.closed = closed
    let isClosed = false
    try {
      await this.#closeOrm()
      isClosed = true
    } finally {
      await end(isClosed)
    }
  }

  /** Closes its ORM with the connections that are in use. Never rejects: `close` has the errors. */
  async breakOff(closed: () => Error): Promise<void> {
    this.#settings.closed = closed
    this.database.breakOff()
    await this.#closeOrm().catch(() => undefined)
  }

  async #closeOrm(): Promise<void> {
    await keepingOptions(connectionsOf(this.#driver), () => this.options.orm.close())
  }

  /** Drops the pool, which is closed when all its connections are given back; the next statement opens a new one. */
  async dispose(untilClosed: Renewal['untilClosed']): Promise<void> {
    await this.#renew(false, untilClosed)
  }

  /** Drops the pool and opens a new one. */
  async reinit(untilClosed: Renewal['untilClosed']): Promise<void> {
    await this.#renew(true, untilClosed)
  }

  async #renew(opens: boolean, untilClosed: Renewal['untilClosed']): Promise<void> {
    this.lookAgain()
    const connections = connectionsOf(this.#driver)
    await Promise.all(
      connections.map(async (connection) => {
        const connect = opens ? (): Promise<void> => connection.connect() : undefined
        if (!isConnected(connection)) return await connect?.()
        const close = (): Promise<void> => keepingOptions([connection], () => connection.close())
        const dropped = (): void => {
          if (opens) return
          noteClosed(connection)
          giveBackContextName(this.options.orm)
        }
        await this.database.renew(connection, { close, dropped, connect, untilClosed })
      }),
    )
  }

  /** Its pool as it is now; undefined before it is connected, and on SQLite. */
  async pool(): Promise<PoolReport | undefined> {
    if (!this.connected) return undefined
    return await this.database.pool()
  }

  #fork(options: ForkOptions): SqlEntityManager {
    // MikroORM writes into the options it is given, and would fork the session that a scoped role resolves to.
    const em = this.#forks({ ...options, disableContextResolution: true })
    // That of the ORM has it already.
    if (options.freshEventManager === true) em.getEventManager().registerSubscriber(foreignEntityGuard)
    return em
  }
}

function settingsOf(
  options: ResolvedEngineOptions,
  { rules: { writes, scope, begin }, dialect }: Pick<Engine, 'rules' | 'dialect'>,
  background: SessionSettings['background'],
): SessionSettings {
  const { role, initialState, rawWrites, keepSession, isolationLevel } = options
  return {
    role,
    dialect,
    initialState: writes ? initialState : 'readonly',
    scope,
    begin: { isolationLevel, readOnly: false, ...begin },
    rawWrites,
    relations: relationsOf(options.orm.driver),
    keepSession,
    background,
  }
}

/**
 * Refuses a Kysely instance or dialect of the program: it keeps its pool to itself, and sessions take connections from the
 * pool: https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/sql/src/AbstractSqlConnection.ts
 */
function assertOwnPool({ role, orm }: ResolvedEngineOptions): void {
  const driverOptions: object = orm.config.get('driverOptions')
  if (!('createDriver' in driverOptions) && !('getExecutor' in driverOptions)) return
  throw new ConfigurationError(
    `The role "${role}" has a Kysely instance or dialect as driverOptions, whose connections MikroORM does not give out. ` +
      `Give driverOptions that are options of the driver, such as { max: 10 }; each role has a pool of its own.`,
  )
}

function assertPipelining({ role, pipelineCommit }: ResolvedEngineOptions, { dialect }: Database): void {
  if (!pipelineCommit || dialect === 'postgresql') return
  throw new ConfigurationError(
    `The role "${role}" has pipelineCommit: true and runs on ${dialect}, where there are no round trips to be saved. ` +
      `Leave it out.`,
  )
}
