import type { AbstractSqlConnection, AbstractSqlDriver } from '@mikro-orm/sql'
import { DEFAULT_POOL_MAX } from './side-connection.ts'

interface ConfiguredPool {
  readonly host: string
  readonly port: number
  readonly max: number
}

const DEFAULT_PORT = 5432

/** What the server has for all who are no superusers, and the port at which it took the connection that asks. */
export const ALLOWED_CONNECTIONS = `select inet_server_port() as port, current_setting('max_connections')::int
  - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true), '0')::int as allowed`

/** How a driver's pool to its primary is configured. Opens nothing. */
export function configuredPool(driver: AbstractSqlDriver): ConfiguredPool {
  const { driverOptions, pool } = driver.config.getAll()
  const { max = pool?.max ?? DEFAULT_POOL_MAX } = driverOptions as { readonly max?: number }
  return { ...addressOf(driver.getConnection('write')), max }
}

function addressOf(connection: AbstractSqlConnection): Pick<ConfiguredPool, 'host' | 'port'> {
  const { host, port } = connection.getConnectionOptions()
  return { host: host ?? 'localhost', port: port === undefined || port === 0 ? DEFAULT_PORT : port }
}

/** Host and port that a connection leads to. */
export function serverOf(connection: AbstractSqlConnection): string {
  const { host, port } = addressOf(connection)
  return `${host}:${port}`
}
