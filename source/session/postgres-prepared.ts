import type { Aside } from './postgres-decisions.ts'
import { whereaboutsOf } from './postgres-identity.ts'
import { quoted } from './quoted.ts'

/** What is to become of a prepared transaction. */
export type Finish = 'commit' | 'rollback'

/** A prepared transaction that waits for its end. */
export interface PreparedRow {
  readonly gid: string
  readonly ageMs: number
}

/** What a database can prepare, and what is prepared there. */
export interface PreparedSurvey {
  /** Which database of which server since its start it is, under any host name. */
  readonly identity: string
  /** The setting max_prepared_transactions. */
  readonly maxPrepared: number
  readonly rows: readonly PreparedRow[]
}

const NO_SUCH_TRANSACTION = '42704'

/** Prepared transactions as anybody may see and finish them: over a connection of its own. */
export class PostgresPrepared {
  readonly #aside: Aside

  constructor(aside: Aside) {
    this.#aside = aside
  }

  /** Those of this database whose id begins with `prefix`. */
  async survey(prefix: string): Promise<PreparedSurvey> {
    return await this.#aside(async (client) => {
      const { identity } = await whereaboutsOf(client)
      const { rows: settings } = await client.query<{ max: number }>(
        `select current_setting('max_prepared_transactions')::int as max`,
      )
      const { rows } = await client.query<{ gid: string; age: number }>(
        `select gid, (extract(epoch from clock_timestamp() - prepared) * 1000)::float8 as age from pg_prepared_xacts ` +
          `where database = current_database() and left(gid, ${prefix.length}) = ${quoted(prefix)} order by prepared`,
      )
      const maxPrepared = settings[0]?.max ?? 0
      return { identity, maxPrepared, rows: rows.map(({ gid, age }) => ({ gid, ageMs: age })) }
    })
  }

  /** Whether it waits for its end. */
  async has(gid: string): Promise<boolean> {
    return await this.#aside(async (client) => {
      const { rows } = await client.query('select from pg_prepared_xacts where gid = $1', [gid])
      return rows.length > 0
    })
  }

  /** Whether it was there to be finished: another process may have done it meanwhile. @throws the driver's error */
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
  return `${how} prepared ${quoted(gid)}`
}

/** Ids are never used again, so what is not there was finished by somebody else. */
export function isFinishedAlready(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === NO_SUCH_TRANSACTION
}
