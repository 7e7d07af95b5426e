import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import { Article, Note } from './entities.ts'
import { isPostgres, POOL } from './databases.ts'

/** The types of SQLite's differ in nothing that is used here. */
export type BenchOrm = PostgresOrm

/** A MikroORM instance as every server opens it. Its `contextName` is its own where a server has several. */
export async function openOrm(
  target: string,
  contextName = 'default',
  more: { readonly replicas?: { readonly clientUrl: string }[] } = {},
): Promise<BenchOrm> {
  const common = { entities: [Article, Note], contextName }
  return isPostgres(target)
    ? await PostgresOrm.init({ ...common, clientUrl: target, pool: { min: POOL, max: POOL }, ...more })
    : ((await SqliteOrm.init({ ...common, dbName: target })) as unknown as BenchOrm)
}
