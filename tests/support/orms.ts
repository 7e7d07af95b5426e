/** MikroORM instances on real databases, with a second connection beside each to see what is really committed. */
import process from 'node:process'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import { DECISION_TABLE } from '../../source/database/decisions.ts'
import type pg from 'pg'
import { ENTITIES } from './entities.ts'
import { createDatabase } from './postgres.ts'
import { secondLook, type SecondLook } from './second-look.ts'
import { sqliteFile } from './sqlite.ts'

const BOTH = ['sqlite', 'postgresql'] as const
export type Dialect = (typeof BOTH)[number]

/** What tests run on: both, or the one that is named by KOA_SQLASSIST_TEST_DIALECT. */
export const DIALECTS: readonly Dialect[] = BOTH.filter(
  (dialect) => dialect === (process.env['KOA_SQLASSIST_TEST_DIALECT'] || dialect),
)

export type TestOrm = PostgresOrm | SqliteOrm

export interface OrmOptions {
  /** The most connections of its pool, on PostgreSQL. Default 5. */
  readonly poolMax?: number
  readonly contextName?: string
  /** A way to the database that is not its own url, such as a recording proxy. */
  readonly via?: string
  readonly config?: Record<string, unknown>
  /** Its schema is there already; it connects when it is used. */
  readonly hasSchema?: boolean
}

/** The entities whose tables a new database has; none at first. To look at it takes PostgreSQL longer than to make them. */
const tablesOf = new Map<string, readonly unknown[]>()

/** A new empty database of that dialect: a url, or the path of a SQLite file. */
export async function newDatabase(dialect: Dialect, label?: string): Promise<string> {
  const target = dialect === 'sqlite' ? sqliteFile(label) : await createDatabase(label)
  tablesOf.set(target, [])
  return target
}

/** An ORM over `target`, connected, whose schema it creates where it is missing. */
export async function openOrm(target: string, options: OrmOptions = {}): Promise<TestOrm> {
  const { poolMax = 5, contextName, via = target, config, hasSchema = false } = options
  const entities = (config?.['entities'] as readonly unknown[] | undefined) ?? ENTITIES
  const common = {
    entities: ENTITIES,
    // As an application that updates its schema before there is a registry.
    schemaGenerator: { skipTables: [DECISION_TABLE] },
    ...(contextName === undefined ? {} : { contextName }),
    ...config,
  }
  const orm = target.startsWith('postgres')
    ? await PostgresOrm.init({ ...common, clientUrl: via, pool: { min: 0, max: poolMax } })
    : await SqliteOrm.init({ ...common, dbName: target })
  if (hasSchema) return orm
  const made = tablesOf.get(target)
  if (made === entities) await orm.em.execute('select 1')
  else await (made?.length === 0 ? orm.schema.create() : orm.schema.update())
  tablesOf.set(target, entities)
  return orm
}

/** The pool of an ORM over PostgreSQL. */
export async function poolOf(orm: TestOrm): Promise<pg.Pool> {
  return (await orm.em.getConnection().getNativeClient()) as unknown as pg.Pool
}

/** A new database with an ORM over it and a second look at it. */
export async function openDatabase(
  dialect: Dialect,
  options: OrmOptions = {},
): Promise<{ orm: TestOrm; target: string; look: SecondLook; close(): Promise<void> }> {
  const target = await newDatabase(dialect)
  const orm = await openOrm(target, options)
  const look = await secondLook(target)
  return {
    orm,
    target,
    look,
    async close() {
      await look.close()
      await orm.close(true)
    },
  }
}
