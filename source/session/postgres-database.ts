import type { SessionContext } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { PoolClient } from 'pg'
import type { BeginOptions, Database, DatabaseLink } from './database-link.ts'
import type { PoolReport } from './pool-report.ts'
import { aside, type PoolOfClients } from './postgres-aside.ts'
import { PostgresDecisions, type Aside } from './postgres-decisions.ts'
import { PostgresLink } from './postgres-link.ts'
import { PostgresPrepared } from './postgres-prepared.ts'
import { statementKind } from './statement-kind.ts'

/** pg-pool's own. */
const DEFAULT_POOL_MAX = 10

/** The PostgreSQL database of an ORM, reached through the ORM's own pool. */
export class PostgresDatabase implements Database {
  readonly dialect = 'postgresql'
  readonly kindOf = statementKind
  readonly decisions: PostgresDecisions
  readonly prepared: PostgresPrepared
  readonly #driver: AbstractSqlDriver

  constructor(role: string, driver: AbstractSqlDriver) {
    this.#driver = driver
    const besidePool: Aside = async (work) => await aside(await this.#pool('write'), work)
    this.decisions = new PostgresDecisions(role, besidePool)
    this.prepared = new PostgresPrepared(besidePool)
  }

  mayDecide(): void {
    // Everything it takes is done in the commit itself.
  }

  async patiently<T>(work: () => Promise<T>): Promise<T> {
    return await work()
  }

  async begin(options: BeginOptions): Promise<DatabaseLink> {
    const pool = await this.#pool(options.readOnly === true ? 'read' : 'write')
    const client = await pool.connect()
    try {
      await client.query(beginStatement(options))
      if (options.sessionContext !== undefined) await applySessionContext(client, options.sessionContext)
    } catch (error) {
      client.release(true)
      throw error
    }
    return new PostgresLink(client, (processId) => cancelBackend(pool, processId))
  }

  async pool(): Promise<PoolReport> {
    const { options, totalCount, idleCount, waitingCount } = await this.#pool('write')
    return { max: options.max ?? DEFAULT_POOL_MAX, total: totalCount, idle: idleCount, waiting: waitingCount }
  }

  async #pool(type: 'read' | 'write'): Promise<PoolOfClients> {
    return (await this.#driver.getConnection(type).getNativeClient()) as PoolOfClients
  }
}

async function cancelBackend(pool: PoolOfClients, processId: number): Promise<void> {
  try {
    await aside(pool, (control) => control.query('select pg_cancel_backend($1)', [processId]))
  } catch (error) {
    process.emitWarning(`A statement could not be cancelled and runs on: ${String(error)}`, {
      code: 'SQLASSIST_CANCEL_FAILED',
    })
  }
}

/** As MikroORM does for a transaction that it begins. */
async function applySessionContext(client: PoolClient, { variables = {}, role }: SessionContext): Promise<void> {
  const settings = Object.entries(variables)
  if (settings.length > 0) {
    const calls = settings.map((_, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, true)`)
    const values = settings.flatMap(([name, value]) => [
      name,
      value instanceof Date ? value.toISOString() : String(value),
    ])
    await client.query(`select ${calls.join(', ')}`, values)
  }
  if (role !== undefined) await client.query(`set local role "${role.replaceAll('"', '""')}"`)
}

function beginStatement({ isolationLevel, readOnly }: BeginOptions): string {
  if (isolationLevel === undefined && readOnly !== true) return 'begin'
  const isolation = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
  return `begin${isolation}${readOnly === true ? ' read only' : ''}`
}
