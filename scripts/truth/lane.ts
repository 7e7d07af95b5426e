/** The databases on which one program after the other runs, with their ORMs and registries, which are kept. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { EventArgs, MikroORM } from '@mikro-orm/core'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import Database from 'better-sqlite3'
import { createDatabase, postgres } from '../../tests/support/postgres.ts'
import { temporaryFolder } from '../../tests/support/sqlite.ts'
import { EngineRegistry } from '../../source/index.ts'
import { DECISION_TABLE } from '../../source/database/decisions.ts'
import { Echo, Fact, Inbox, Note, SCHEMA, Setting } from './entities.ts'
import { postgresLook, sqliteLook, until, type Look } from './look.ts'
import { CONNECTION, type Found } from './connection-state.ts'
import { databaseOf, type Dialect, type Frame, type IsolationLevel, type Role, type Slot } from './program.ts'

/** Of either database. */
export type Orm = MikroORM<any, any, any>
export type Registry = EngineRegistry<any, any>

interface Store {
  readonly dialect: Dialect
  readonly target: string
  readonly look: Look
}

/** Called for each fact that is created through the ORM of a role. */
export type OnCreate = (role: Slot) => void

let files = 0

export class Lane {
  onCreate: OnCreate | undefined
  readonly #stores = new Map<string, Store>()
  #orms = new Map<string, Orm>()
  #registries = new Map<string, Registry>()

  async store(database: string): Promise<Store> {
    let store = this.#stores.get(database)
    if (store === undefined) this.#stores.set(database, (store = await openStore(database)))
    return store
  }

  /** The registry for these roles. */
  async registry({ roles, disabled }: Pick<Frame, 'roles' | 'disabled'>): Promise<Registry> {
    const key = JSON.stringify([roles, disabled])
    let registry = this.#registries.get(key)
    if (registry === undefined) {
      const engines: Record<string, unknown> = {}
      for (const role of roles) {
        const { name, dialect: _, server: __, ...options } = role
        engines[name] = { ...options, orm: await this.orm(role, databaseOf(role)), default: name === 'writer' }
      }
      registry = new EngineRegistry<any, any>(engines, { recover: false, disableTransaction: disabled })
      this.#registries.set(key, registry)
    }
    return registry
  }

  /** One with nothing but a writer, on a database of its own. */
  async other(dialect: Dialect): Promise<{ readonly registry: Registry; readonly orm: Orm; readonly role: Role }> {
    const role: Role = { name: 'writer', dialect }
    const orm = await this.orm(role, otherDatabase(dialect))
    const key = `other ${dialect}`
    const registry = this.#registries.get(key) ?? new EngineRegistry<any, any>({ writer: orm }, { recover: false })
    this.#registries.set(key, registry)
    return { registry, orm, role }
  }

  async orm({ name, dialect, server }: Omit<Role, 'readOnly'>, database: string): Promise<Orm> {
    const key = `${name} ${database}${server === undefined ? '' : ` ${server}`}`
    let orm = this.#orms.get(key)
    if (orm === undefined) {
      const { target } = await this.store(database)
      const onCreate = ({ meta }: EventArgs<object>): void => {
        if (meta.className === 'Fact') this.onCreate?.(name)
      }
      orm = await openOrm(dialect, target, onCreate, server)
      await orm.em.fork().count(Note)
      this.#orms.set(key, orm)
    }
    return orm
  }

  /** Empties the databases, and puts the notes there. */
  async reset(databases: readonly string[], notes: readonly string[]): Promise<void> {
    const values = notes.map((text) => `('${text}', 'first')`).join(', ')
    for (const database of databases) {
      const { look } = await this.store(database)
      await look.run(
        `delete from fact; delete from note; delete from inbox; insert into note (text, mark) values ${values}`,
      )
    }
  }

  /** Connections that are out of their pool, or waited for; on SQLite, where there is one, whether it answers. */
  async busyPools(patienceMs: number): Promise<string[]> {
    const busy: string[] = []
    for (const [key, orm] of this.#orms) {
      if (!(orm instanceof PostgresOrm)) {
        const answers = await inTime((orm as SqliteOrm).em.fork().execute('select 1'), patienceMs)
        if (!answers) busy.push(`${key}: its connection does not answer`)
        continue
      }
      const pool = await (orm as PostgresOrm).em.getConnection().getNativeClient()
      const isBusy = (): boolean => pool.totalCount > pool.idleCount || pool.waitingCount > 0
      if (await until(() => !isBusy(), patienceMs)) continue
      busy.push(`${key}: ${pool.totalCount - pool.idleCount} out of the pool, ${pool.waitingCount} wait`)
    }
    return busy
  }

  /** What the connections in the pools of these databases still have, which nobody is using. */
  async leftBehind(): Promise<string[]> {
    const left: string[] = []
    for (const [key, orm] of this.#orms) {
      if (!(orm instanceof PostgresOrm)) continue
      const pool = await (orm as PostgresOrm).em.getConnection().getNativeClient()
      const clients = await Promise.all(Array.from({ length: pool.idleCount }, () => pool.connect()))
      for (const client of clients) {
        const { rows } = await client.query<Found>(CONNECTION)
        client.release()
        const { mark, things } = rows[0]!
        if (mark !== null || things !== '') left.push(`on a connection of ${key}: ${mark ?? ''} ${things}`)
      }
    }
    return left
  }

  /** After a program that left something behind: the next one gets connections, files and registries of its own. */
  async renew(): Promise<void> {
    const orms = [...this.#orms.values()]
    this.#orms = new Map()
    this.#registries = new Map()
    for (const [database, { dialect, look }] of this.#stores) {
      if (dialect === 'sqlite') {
        this.#stores.delete(database)
        await look.close()
      } else await endOthers(look)
    }
    for (const orm of orms) void orm.close(true).catch(() => undefined)
  }

  /** Ends the registries; the names of those that do not end. */
  async close(patienceMs: number): Promise<string[]> {
    const left: string[] = []
    for (const [key, registry] of this.#registries) {
      if (!(await inTime(registry.close(), patienceMs))) left.push(key)
    }
    for (const { look } of this.#stores.values()) await look.close()
    return left
  }
}

export function otherDatabase(dialect: Dialect): string {
  return `${dialect} other`
}

async function inTime(work: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  const done = work.then(
    () => true,
    () => true,
  )
  const ended = await Promise.race([done, promise])
  clearTimeout(timer)
  return ended
}

async function endOthers(look: Look): Promise<void> {
  await look.run(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )
  const prepared = await look.rows('select gid from pg_prepared_xacts where database = current_database()')
  for (const { gid } of prepared) await look.run(`rollback prepared '${String(gid)}'`)
}

async function openStore(database: string): Promise<Store> {
  if (database.startsWith('postgresql')) {
    const target = await createDatabase(database)
    const look = await postgresLook(target)
    for (const sql of SCHEMA.postgresql) await look.run(sql)
    return { dialect: 'postgresql', target, look }
  }
  const target = join(temporaryFolder(), `truth-${++files}.sqlite`)
  rmSync(target, { force: true })
  const file = new Database(target)
  file.pragma('journal_mode = WAL')
  file.close()
  const look = sqliteLook(target)
  for (const sql of SCHEMA.sqlite) await look.run(sql)
  return { dialect: 'sqlite', target, look }
}

async function openOrm(
  dialect: Dialect,
  target: string,
  afterCreate: (args: EventArgs<object>) => void,
  server: IsolationLevel | undefined,
): Promise<Orm> {
  const common = {
    entities: dialect === 'postgresql' ? [Fact, Note, Inbox, Echo, Setting] : [Fact, Note, Inbox],
    schemaGenerator: { skipTables: [DECISION_TABLE] },
    subscribers: [{ afterCreate: async (args: EventArgs<object>) => afterCreate(args) }],
  }
  return dialect === 'postgresql'
    ? await PostgresOrm.init({
        ...common,
        clientUrl: target,
        pool: { min: 0, max: 6 },
        driverOptions: serverOptions(server),
      })
    : await SqliteOrm.init({ ...common, dbName: target, driverOptions: { timeout: 0 } })
}

/** The server's default for the connections of one pool. */
function serverOptions(level: IsolationLevel | undefined): object {
  return level === undefined ? {} : { options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}` }
}

/** Terminates a backend and waits until it is gone. */
export async function terminate(pid: number): Promise<void> {
  const { adminQuery } = await postgres()
  await adminQuery('select pg_terminate_backend($1, 10000)', [pid])
}
