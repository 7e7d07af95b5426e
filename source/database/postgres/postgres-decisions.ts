import type { Client, QueryResult } from 'pg'
import {
  databaseNames,
  IS_DATABASE_ROW,
  nameRowId,
  newDatabaseName,
  type DatabaseNames,
  type NameRow,
} from '../database-names.ts'
import {
  DECISION_TABLE,
  DECISION_TABLE_SQL,
  notNamed,
  ROWS_A_LOOK,
  type Decision,
  type Decisions,
  type DecisionSurvey,
  type DecisionTable,
} from '../decisions.ts'
import { DecisionTableError } from '../errors.ts'
import { whereaboutsOf } from './postgres-identity.ts'
import { sqlLiteral } from '../sql-literal.ts'

/** Runs its work over a connection outside the pool. */
export type Aside = <T>(work: (client: Client) => Promise<T>) => Promise<T>

/** How long recovery waits for a decision that is being written. */
const LOCK_TIMEOUT_MS = 5000
/** How long a decision to abort is kept at least. */
const ABORTS_KEPT = '1 day'

const UNIQUE_VIOLATION = '23505'
const UNDEFINED_TABLE = '42P01'

// What is asked for beyond `on`, such as remote_apply, stays.
const DURABLY = `select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') in ('off', 'local')`
const BEGIN = 'begin isolation level read committed read write'

/**
 * What goes before the last statement of a transaction that ends otherwise than by a plain COMMIT. Deferred constraints
 * are checked as the role that the transaction has taken by SET ROLE. Then the role that logged in comes back, which
 * alone may finish what is prepared and write decisions.
 */
export const AS_WHO_LOGGED_IN = 'set constraints all immediate; set local role none'

/** Decisions in PostgreSQL, each asked for over a connection of its own, in one simple query. */
export class PostgresDecisions implements Decisions {
  readonly #role: string
  readonly #aside: Aside
  #table: Promise<DecisionTable> | undefined

  constructor(role: string, aside: Aside) {
    this.#role = role
    this.#aside = aside
  }

  async ready(): Promise<DecisionTable> {
    const table = (this.#table ??= this.#aside((client) => this.#makeReady(client)))
    try {
      return await table
    } catch (error) {
      this.lookAgain()
      throw error
    }
  }

  lookAgain(): void {
    this.#table = undefined
  }

  isFence(error: unknown): boolean {
    const { code, table } = error as { readonly code?: unknown; readonly table?: unknown }
    return code === UNIQUE_VIOLATION && table === DECISION_TABLE
  }

  gone(error: unknown): DecisionTableError | undefined {
    const { code, position } = error as { readonly code?: unknown; readonly position?: unknown }
    // A trigger that misses a table of its own has no position in what was sent.
    if (code !== UNDEFINED_TABLE || position === undefined) return undefined
    this.lookAgain()
    return new DecisionTableError(this.#role, DECISION_TABLE_SQL.postgresql, error, true)
  }

  async fence(id: string, database: string, isFinished?: () => Promise<boolean>): Promise<Decision> {
    return await this.#aside(async (client) => {
      const table = await nameOf(client)
      if (table === undefined) throw new Error(`its table ${DECISION_TABLE} is missing`)
      const results = (await client.query(
        `${BEGIN}; ${DURABLY}; set local lock_timeout = ${LOCK_TIMEOUT_MS}; ` +
          `insert into ${table} (id, decision) select ${sqlLiteral(id)}, 'abort' where exists (select from ${table} ` +
          `where ${IS_DATABASE_ROW} and decision = ${sqlLiteral(database)}) on conflict (id) do nothing; ` +
          `select decision from ${table} where id = ${sqlLiteral(id)}`,
      )) as unknown as QueryResult<{ decision: Decision }>[]
      const decision = results.at(-1)?.rows[0]?.decision
      if (decision === undefined) throw notNamed(id)
      const isNew = results.some(({ command, rowCount }) => command === 'INSERT' && rowCount === 1)
      const isCommitted = isNew && (await isFinished?.()) === true
      await client.query(isCommitted ? 'rollback' : 'commit')
      return isCommitted ? 'commit' : decision
    })
  }

  async find(id: string): Promise<Decision | undefined> {
    return await this.#aside(async (client) => {
      const table = await nameOf(client)
      if (table === undefined) return undefined
      const { rows } = await client.query<{ decision: Decision }>(`select decision from ${table} where id = $1`, [id])
      return rows[0]?.decision
    })
  }

  async survey(olderThanMs: number): Promise<DecisionSurvey> {
    return await this.#aside(async (client) => {
      const table = await nameOf(client)
      const names = await namesIn(client, table)
      await this.#compare(names)
      if (table === undefined) return { ...names, committed: [] }
      const { rows } = await client.query<{ id: string; participants: string | null }>(
        `select id, participants from ${table} where decision = 'commit' ` +
          `and at <= clock_timestamp() - make_interval(secs => ${olderThanMs / 1000}) order by at desc limit ${ROWS_A_LOOK}`,
      )
      return { ...names, committed: rows }
    })
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#aside(async (client) => {
      const table = await nameOf(client)
      if (table === undefined) return
      if (ids.length > 0) await client.query(`delete from ${table} where id = any($1)`, [ids])
      // A transaction that could still run into the row began before the row was written.
      await client.query(
        `delete from ${table} d where decision = 'abort' ` +
          `and at < clock_timestamp() - interval '${ABORTS_KEPT}' and not exists (select from pg_stat_activity a ` +
          `where a.datname = current_database() and a.pid <> pg_backend_pid() and a.xact_start <= d.at)`,
      )
    })
  }

  /** Looks again where the database was started again or its table emptied: the next commit is to give it a name. */
  async #compare({ name }: DatabaseNames): Promise<void> {
    const known = await this.#table?.catch(() => undefined)
    if (known?.database !== name) this.lookAgain()
  }

  async #makeReady(client: Client): Promise<DecisionTable> {
    const table = (await nameOf(client)) ?? (await this.#create(client))
    const names = await namesIn(client, table)
    const database = names.name ?? (await this.#nameDatabase(client, table, names))
    return {
      database,
      commitSql: ({ id, participants }) =>
        `${AS_WHO_LOGGED_IN}; ${DURABLY}; insert into ${table} (id, decision, participants) ` +
        `values (${sqlLiteral(id)}, 'commit', ${sqlLiteral(participants)})`,
    }
  }

  async #create(client: Client): Promise<string> {
    let failure: unknown
    try {
      await client.query(`${BEGIN}; ${DECISION_TABLE_SQL.postgresql}; commit`)
    } catch (error) {
      await client.query('rollback')
      failure = error
    }
    // "If not exists" does not keep two from creating it at the same time, and who is late gets one of several errors.
    const table = await nameOf(client)
    if (table !== undefined) return table
    throw new DecisionTableError(this.#role, DECISION_TABLE_SQL.postgresql, failure)
  }

  async #nameDatabase(client: Client, table: string, names: DatabaseNames): Promise<string> {
    const { text } = await whereaboutsOf(client)
    await client.query(
      `${BEGIN}; ${DURABLY}; insert into ${table} (id, decision, participants) values (${sqlLiteral(nameRowId(names))}, ` +
        `'${newDatabaseName()}', ${sqlLiteral(text)}) on conflict (id) do nothing; commit`,
    )
    const { name } = await namesIn(client, table)
    if (name !== undefined) return name
    throw new DecisionTableError(this.#role, DECISION_TABLE_SQL.postgresql, undefined)
  }
}

/** The table with its schema, which a session may leave out of its search_path. */
async function nameOf(client: Client): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace ` +
      `where c.oid = to_regclass('${DECISION_TABLE}')`,
  )
  return rows[0]?.name
}

async function namesIn(client: Client, table: string | undefined): Promise<DatabaseNames> {
  const whereabouts = await whereaboutsOf(client)
  if (table === undefined) return databaseNames(whereabouts, [])
  const { rows } = await client.query<NameRow>(
    `select decision as name, participants as whereabouts from ${table} where ${IS_DATABASE_ROW}`,
  )
  return databaseNames(whereabouts, rows)
}
