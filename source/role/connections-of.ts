import type { Connection, IDatabaseDriver } from '@mikro-orm/core'

/** The connection to the primary and those to the replicas. */
export function connectionsOf(driver: IDatabaseDriver): Connection[] {
  const { replicas = [] } = driver as unknown as { readonly replicas?: Connection[] }
  return [driver.getConnection('write'), ...replicas]
}
