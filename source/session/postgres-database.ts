import type { Client, PoolClient } from 'pg'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { BeginOptions, Database, DatabaseLink } from './database-link.ts'
import { PostgresLink } from './postgres-link.ts'
import { statementKind } from './statement-kind.ts'

interface PoolOfClients {
  readonly Client: new (options: object) => Client
  readonly options: object & { readonly password?: unknown }
  connect(): Promise<PoolClient>
}

/** The PostgreSQL database of an ORM, reached through the ORM's own pool. */
export class PostgresDatabase implements Database {
  readonly dialect = 'postgresql'
  readonly kindOf = statementKind
  readonly #driver: AbstractSqlDriver

  constructor(driver: AbstractSqlDriver) {
    this.#driver = driver
  }

  async patiently<T>(work: () => Promise<T>): Promise<T> {
    return await work()
  }

  async begin(options: BeginOptions): Promise<DatabaseLink> {
    const pool = (await this.#driver
      .getConnection(options.readOnly === true ? 'read' : 'write')
      .getNativeClient()) as PoolOfClients
    const client = await pool.connect()
    try {
      await client.query(beginStatement(options))
    } catch (error) {
      client.release(true)
      throw error
    }
    return new PostgresLink(client, (processId) => void cancelBackend(pool, processId))
  }
}

/** The pool may have no connection to spare just when one has to be cancelled, so this takes one of its own. */
async function cancelBackend({ Client, options }: PoolOfClients, processId: number): Promise<void> {
  // The password of a pool is not enumerable.
  const control = new Client({ ...options, password: options.password })
  try {
    control.on('error', () => undefined)
    await control.connect()
    await control.query('select pg_cancel_backend($1)', [processId])
  } catch (error) {
    process.emitWarning(`A statement could not be cancelled and runs on: ${String(error)}`, {
      code: 'SQLASSIST_CANCEL_FAILED',
    })
  } finally {
    await control.end().catch(() => undefined)
  }
}

function beginStatement({ isolationLevel, readOnly }: BeginOptions): string {
  if (isolationLevel === undefined && readOnly !== true) return 'begin'
  const isolation = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
  return `begin${isolation}${readOnly === true ? ' read only' : ''}`
}
