/** A connection beside the library: plain pg or better-sqlite3. */
import { setImmediate as turn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import pg from 'pg'
import type { Value } from './record.ts'

type Row = Readonly<Record<string, unknown>>

export interface Look {
  /** Statements without values. */
  run(sql: string): Promise<void>
  rows(sql: string): Promise<Row[]>
  /** What is left open in this database: nothing, once it is quiet. */
  leftOpen(): Promise<string[]>
  close(): Promise<void>
}

const FACTS = 'select text, count(*) as n from fact group by text'
const NOTES = 'select text, mark from note'
const OPEN = `select 'a connection stays ' || state || ' after: ' || left(query, 80) as what from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and state <> 'idle'
  union all select 'prepared: ' || gid from pg_prepared_xacts where database = current_database()`

export async function postgresLook(url: string): Promise<Look> {
  const client = new pg.Client({ connectionString: url, application_name: 'second look' })
  await client.connect()
  const rows = async (sql: string): Promise<Row[]> => (await client.query<Row>(sql)).rows
  return {
    run: async (sql) => void (await client.query(sql)),
    rows,
    leftOpen: async () => (await rows(OPEN)).map(({ what }) => String(what)),
    close: () => client.end(),
  }
}

export function sqliteLook(path: string): Look {
  const database = new Database(path, { timeout: 0 })
  return {
    run: async (sql) => void database.exec(sql),
    rows: async (sql) => database.prepare<[], Row>(sql).all(),
    async leftOpen() {
      try {
        database.exec('begin immediate; rollback')
        return []
      } catch (error) {
        return [`the file stays locked: ${String(error)}`]
      }
    },
    close: async () => void database.close(),
  }
}

/** What is stored: the cells of one database. */
export async function stored(look: Look, database: string): Promise<Map<string, Value>> {
  const facts = (await look.rows(FACTS)).map(({ text, n }) => [`${database} fact ${String(text)}`, Number(n)] as const)
  const notes = (await look.rows(NOTES)).map(
    ({ text, mark }) => [`${database} note ${String(text)}`, mark as string | null] as const,
  )
  return new Map<string, Value>([...facts, ...notes])
}

/** Waits until nothing is open any more, but not for ever. */
export async function quiet(look: Look, patienceMs: number): Promise<string[]> {
  let open: string[] = []
  await until(async () => (open = await look.leftOpen()).length === 0, patienceMs)
  return open
}

/** Waits for something, but not for ever; whether it came. */
export async function until(isSo: () => boolean | Promise<boolean>, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs
  while (!(await isSo())) {
    if (performance.now() > deadline) return false
    await turn()
  }
  return true
}
