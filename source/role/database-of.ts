import type { IDatabaseDriver } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { Database } from '../database/database.ts'
import { PostgresDatabase } from '../database/postgres/postgres-database.ts'
import { SqliteDatabase } from '../database/sqlite/sqlite-database.ts'
import { ConfigurationError } from './errors.ts'
import { relationsOf } from './relations-of.ts'

/** The database behind a role. @throws ConfigurationError for one that is not supported */
export function databaseOf(role: string, driver: AbstractSqlDriver): Database {
  const platforms = platformsOf(driver)
  if (isPostgres(driver)) return new PostgresDatabase(role, driver, relationsOf(driver))
  if (isSqlite(driver)) return new SqliteDatabase(role, driver)
  throw new ConfigurationError(
    `The role "${role}" runs on ${platforms[0]}, which is not supported. ` +
      `Use @mikro-orm/postgresql or @mikro-orm/sqlite.`,
  )
}

export function isPostgres(driver: IDatabaseDriver): boolean {
  return platformsOf(driver).includes('BasePostgreSqlPlatform')
}

export function isSqlite(driver: IDatabaseDriver): boolean {
  return platformsOf(driver).includes('SqlitePlatform')
}

/** The names of the platform's classes: the application may have other copies of MikroORM's packages. */
function platformsOf(driver: IDatabaseDriver): string[] {
  const platforms: string[] = []
  for (let type = driver.getPlatform().constructor; type.name !== ''; type = Object.getPrototypeOf(type)) {
    platforms.push(type.name)
  }
  return platforms
}
