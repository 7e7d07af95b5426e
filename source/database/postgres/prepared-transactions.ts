import type { Aside } from './postgres-decisions.ts'
import { whereaboutsOf } from './postgres-identity.ts'
import { isFinishedAlready, type Finish, type PreparedSurvey, type PreparedTransactions } from '../prepared.ts'
import { sqlLiteral } from '../sql-literal.ts'

/** Sees and finishes prepared transactions over a connection of its own. */
export class PostgresPrepared implements PreparedTransactions {
  readonly #aside: Aside

  constructor(aside: Aside) {
    this.#aside = aside
  }

  async survey(prefix: string): Promise<PreparedSurvey> {
    return await this.#aside(async (client) => {
      const { identity } = await whereaboutsOf(client)
      const { rows: settings } = await client.query<{ max: number }>(
        `select current_setting('max_prepared_transactions')::int as max`,
      )
      const { rows } = await client.query<{ gid: string; age: number }>(
        `select gid, (extract(epoch from clock_timestamp() - prepared) * 1000)::float8 as age from pg_prepared_xacts ` +
          `where database = current_database() and left(gid, ${prefix.length}) = ${sqlLiteral(prefix)} order by prepared`,
      )
      const maxPrepared = settings[0]?.max ?? 0
      return { identity, maxPrepared, rows: rows.map(({ gid, age }) => ({ gid, ageMs: age })) }
    })
  }

  async has(gid: string): Promise<boolean> {
    return await this.#aside(async (client) => {
      const { rows } = await client.query('select from pg_prepared_xacts where gid = $1', [gid])
      return rows.length > 0
    })
  }

  async finish(gid: string, how: Finish): Promise<boolean> {
    return await this.#aside(async (client) => {
      try {
        await client.query(finishSql(gid, how))
        return true
      } catch (error) {
        if (isFinishedAlready(error)) return false
        throw error
      }
    })
  }
}

export function finishSql(gid: string, how: Finish): string {
  return `${how} prepared ${sqlLiteral(gid)}`
}
