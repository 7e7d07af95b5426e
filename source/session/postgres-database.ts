import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { PoolClient } from 'pg'
import type { BeginOptions, Database, DatabaseLink, PoolReport } from './database-link.ts'
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
  readonly #role: string
  readonly #driver: AbstractSqlDriver

  constructor(role: string, driver: AbstractSqlDriver) {
    this.#role = role
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
    return new PostgresLink(client, {
      role: this.#role,
      start: startOf(options, client),
      cancelBackend: (processId) => cancelBackend(pool, processId),
    })
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

/** What begins such a transaction. The variables and the role are set as MikroORM does in a transaction that it begins. */
function startOf({ isolationLevel, readOnly, sessionContext = {} }: BeginOptions, client: PoolClient): string[] {
  const isolation = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
  const start = [`begin${isolation}${readOnly === true ? ' read only' : ''}`]
  const settings = Object.entries(sessionContext.variables ?? {})
  if (settings.length > 0) {
    // Whatever the values are: pg quotes them for both settings of standard_conforming_strings.
    const calls = settings.map(
      ([name, value]) => `set_config(${client.escapeLiteral(name)}, ${client.escapeLiteral(settingOf(value))}, true)`,
    )
    start.push(`select ${calls.join(', ')}`)
  }
  if (sessionContext.role !== undefined) start.push(`set local role ${client.escapeIdentifier(sessionContext.role)}`)
  return start
}

function settingOf(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value)
}
