import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { BeginOptions, Database, DatabaseLink } from './database-link.ts'
import { aside, type PoolOfClients } from './postgres-aside.ts'
import { PostgresDecisions, type Aside } from './postgres-decisions.ts'
import { PostgresLink } from './postgres-link.ts'
import { PostgresPrepared } from './postgres-prepared.ts'
import { statementKind } from './statement-kind.ts'

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
    } catch (error) {
      client.release(true)
      throw error
    }
    return new PostgresLink(client, (processId) => void cancelBackend(pool, processId))
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

function beginStatement({ isolationLevel, readOnly }: BeginOptions): string {
  if (isolationLevel === undefined && readOnly !== true) return 'begin'
  const isolation = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
  return `begin${isolation}${readOnly === true ? ' read only' : ''}`
}
