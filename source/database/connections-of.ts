import type { IDatabaseDriver } from '@mikro-orm/core'
import type { AbstractSqlConnection } from '@mikro-orm/sql'

/** The connection to the primary and those to the replicas. */
export function connectionsOf(driver: IDatabaseDriver): AbstractSqlConnection[] {
  return [driver.getConnection('write') as AbstractSqlConnection, ...replicasOf(driver)]
}

/** The connections to the replicas. */
export function replicasOf(driver: IDatabaseDriver): AbstractSqlConnection[] {
  return (driver as unknown as { readonly replicas?: AbstractSqlConnection[] }).replicas ?? []
}
