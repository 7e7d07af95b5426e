import type { Connection, ForkOptions } from '@mikro-orm/core'
import type { AbstractSqlDriver, SqlEntityManager } from '@mikro-orm/sql'
import type { Database } from '../session/database-link.ts'
import { PostgresDatabase } from '../session/postgres-database.ts'
import { Session } from '../session/session.ts'
import { SqliteDatabase } from '../session/sqlite-database.ts'
import { connectionsOf } from './attach-orm.ts'
import type { ResolvedEngineOptions } from './engine-options.ts'
import { ConfigurationError } from './errors.ts'

/** One role at run time: opens its sessions. */
export class Engine {
  readonly options: ResolvedEngineOptions
  readonly #em: SqlEntityManager
  // Not by way of the entity manager, which inside a unit of work stands for its session.
  readonly #driver: AbstractSqlDriver
  readonly #database: Database
  /** The other roles on the same SQLite file. */
  sharesFileWith: readonly string[] = []
  readonly #background: (work: Promise<void>) => void

  constructor(options: ResolvedEngineOptions, background: (work: Promise<void>) => void) {
    this.options = options
    this.#em = options.orm.em as SqlEntityManager
    this.#driver = options.orm.driver
    this.#database = databaseOf(options.role, this.#driver)
    this.#background = background
  }

  get role(): string {
    return this.options.role
  }

  /** Whether its sessions have nothing to finish when the transaction aborts. */
  get endsWithTransaction(): boolean {
    return this.options.commit === 'joined'
  }

  get dialect(): Database['dialect'] {
    return this.#database.dialect
  }

  /** SQLite's journal mode, as the file has it. */
  async journalMode(): Promise<string> {
    const [row] = await this.#driver.getConnection('write').execute<{ journal_mode: string }[]>('pragma journal_mode')
    return row?.journal_mode ?? 'unknown'
  }

  /**
   * A fresh session; nothing is sent, and no connection taken, before its first statement. It takes over `kept`, the
   * entity manager of an ended session with `keepSession`.
   */
  open(owner: unknown, coordinated: boolean, kept?: SqlEntityManager, beforeBegin?: () => void): Session {
    const { role, readOnly, commit, initialState, rawWrites, keepSession, isolationLevel, fork } = this.options
    const snapshot = readOnly === 'snapshot'
    const reads = readOnly !== false
    return new Session(kept ?? this.#fork(fork), this.#database, {
      role,
      initialState: reads ? 'readonly' : initialState,
      scope: readOnly === true || commit === 'autocommit' ? 'statement' : 'transaction',
      begin: { isolationLevel: snapshot ? 'repeatable read' : isolationLevel, readOnly: snapshot },
      rawWrites,
      keepSession,
      coordinated: reads || coordinated,
      owner,
      beforeBegin,
      background: this.#background,
    })
  }

  /** Drops the pool, once what is under way has given its connections back, and opens a new one. */
  async reinit(): Promise<void> {
    const connections = connectionsOf(this.options.orm.driver)
    // MikroORM forgets a connection's options when it closes, and would open a replica with those of the primary:
    // https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/connections/Connection.ts
    const options = connections.map((connection) => ({ ...optionsOf(connection) }))
    await this.options.orm.close()
    for (const [index, connection] of connections.entries()) Object.assign(optionsOf(connection), options[index])
    await this.options.orm.connect()
  }

  #fork(options: ForkOptions): SqlEntityManager {
    // MikroORM writes into the options it is given, and would fork the session that a scoped role resolves to.
    return this.#em.fork({ ...options, disableContextResolution: true })
  }
}

function optionsOf(connection: Connection): object {
  return (connection as unknown as { readonly options: object }).options
}

function databaseOf(role: string, driver: AbstractSqlDriver): Database {
  const platforms: string[] = []
  for (let type = driver.getPlatform().constructor; type.name !== ''; type = Object.getPrototypeOf(type)) {
    platforms.push(type.name)
  }
  if (platforms.includes('BasePostgreSqlPlatform')) return new PostgresDatabase(driver)
  if (platforms.includes('SqlitePlatform')) return new SqliteDatabase(driver)
  throw new ConfigurationError(
    `The role "${role}" runs on ${platforms[0]}, which is not supported. ` +
      `Use @mikro-orm/postgresql or @mikro-orm/sqlite.`,
  )
}
