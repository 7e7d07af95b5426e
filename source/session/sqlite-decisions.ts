import type { Database as SqliteHandle } from 'better-sqlite3'
import type { DatabaseLink } from './database-link.ts'
import {
  DATABASE_ROW,
  DECISION_TABLE,
  DECISION_TABLE_SQL,
  ROWS_A_LOOK,
  type Decision,
  type DecisionRow,
  type Decisions,
  type Fence,
  type DecisionSurvey,
  type DecisionTable,
} from './decisions.ts'
import { DecisionTableError } from './errors.ts'
import { newDatabaseName } from './postgres-decisions.ts'
import { quoted } from './quoted.ts'
import { control } from './sqlite-statements.ts'
import { waitWhileBusy } from './wait-while-busy.ts'

/** SQLite's own number for synchronous=FULL. */
const FULL = 2
const ABORTS_KEPT = '-1 day'

/**
 * Decisions in a SQLite file. A session that may become the commit point has its handle made ready before its transaction
 * begins: neither the table nor its durability can be seen to once it holds the file's one write lock.
 */
export class SqliteDecisions implements Decisions {
  readonly #role: string
  readonly #begin: (readOnly: boolean) => Promise<DatabaseLink>
  readonly #tables = new WeakMap<SqliteHandle, DecisionTable | Error>()
  #last: SqliteHandle | undefined

  constructor(role: string, begin: (readOnly: boolean) => Promise<DatabaseLink>) {
    this.#role = role
    this.#begin = begin
  }

  /** Called outside of any transaction by whoever has the handle. What goes wrong is told by `ready()`. */
  async makeReady(handle: SqliteHandle): Promise<void> {
    this.#last = handle
    if (this.#tables.get(handle) !== undefined && !(this.#tables.get(handle) instanceof Error)) return
    try {
      // In WAL mode NORMAL leaves a commit to the next checkpoint; a decision has to outlive the power.
      if ((handle.pragma('synchronous', { simple: true }) as number) < FULL) handle.pragma('synchronous = FULL')
      const database = databaseIn(handle) ?? (await create(handle))
      this.#tables.set(handle, {
        database,
        commitSql: ({ id, participants }) =>
          `insert into ${DECISION_TABLE} (id, decision, participants) ` +
          `values (${quoted(id)}, 'commit', ${quoted(participants)})`,
      })
    } catch (error) {
      this.#tables.set(handle, error as Error)
    }
  }

  async ready(): Promise<DecisionTable> {
    const table = this.#last && this.#tables.get(this.#last)
    if (table !== undefined && !(table instanceof Error)) return table
    throw new DecisionTableError(this.#role, DECISION_TABLE_SQL.sqlite, table)
  }

  lookAgain(): void {
    if (this.#last !== undefined) this.#tables.delete(this.#last)
  }

  isFence(error: unknown): boolean {
    const { code, message } = error as { readonly code?: unknown; readonly message?: string }
    return code === 'SQLITE_CONSTRAINT_PRIMARYKEY' && message?.includes(`${DECISION_TABLE}.id`) === true
  }

  isGone(error: unknown): boolean {
    return (error as { readonly message?: string }).message === `no such table: ${DECISION_TABLE}`
  }

  async fence(id: string): Promise<Fence> {
    // The write lock is had before anything is read: as long as the commit point is at work, it has it.
    return await this.#inTransaction(false, async (link) => {
      const { numAffectedRows } = await link.execute(
        `insert or ignore into ${DECISION_TABLE} (id, decision) values (?, 'abort')`,
        [id],
      )
      const { rows } = await link.execute(`select decision from ${DECISION_TABLE} where id = ?`, [id])
      return { decision: (rows as { decision: Decision }[])[0]?.decision ?? 'abort', now: numAffectedRows === 1n }
    })
  }

  async survey(olderThanMs: number): Promise<DecisionSurvey> {
    return await this.#inTransaction(true, async (link) => {
      if (!(await hasTable(link))) return { database: undefined, committed: [] }
      const { rows } = await link.execute(`select decision from ${DECISION_TABLE} where id = '${DATABASE_ROW}'`, [])
      const committed = await link.execute(
        `select id, participants from ${DECISION_TABLE} where decision = 'commit' and id <> '${DATABASE_ROW}' ` +
          `and at <= strftime('%Y-%m-%d %H:%M:%f', 'now', ?) order by at limit ${ROWS_A_LOOK}`,
        [`-${olderThanMs / 1000} seconds`],
      )
      return {
        database: (rows as { decision: string }[])[0]?.decision,
        committed: committed.rows as DecisionRow[],
      }
    })
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#inTransaction(false, async (link) => {
      if (!(await hasTable(link))) return
      for (const id of ids) await link.execute(`delete from ${DECISION_TABLE} where id = ?`, [id])
      await link.execute(
        `delete from ${DECISION_TABLE} where decision = 'abort' and id <> '${DATABASE_ROW}' ` +
          `and at < strftime('%Y-%m-%d %H:%M:%f', 'now', '${ABORTS_KEPT}')`,
        [],
      )
    })
  }

  async #inTransaction<T>(readOnly: boolean, work: (link: DatabaseLink) => Promise<T>): Promise<T> {
    const link = await this.#begin(readOnly)
    try {
      const result = await work(link)
      const answer = await link.commit()
      if (answer.outcome === 'refused') throw answer.error
      return result
    } finally {
      await link.rollback()
      await link.release()
    }
  }
}

async function create(handle: SqliteHandle): Promise<string> {
  await waitWhileBusy(handle, () => control(handle, 'begin immediate'))
  try {
    handle.prepare(DECISION_TABLE_SQL.sqlite).run()
    handle
      .prepare(`insert or ignore into ${DECISION_TABLE} (id, decision) values ('${DATABASE_ROW}', ?)`)
      .run(newDatabaseName())
    const database = databaseIn(handle) as string
    await waitWhileBusy(handle, () => control(handle, 'commit'))
    return database
  } finally {
    if (handle.inTransaction) control(handle, 'rollback')
  }
}

function databaseIn(handle: SqliteHandle): string | undefined {
  if (handle.prepare(HAS_TABLE).get() === undefined) return undefined
  const row = handle.prepare(`select decision from ${DECISION_TABLE} where id = '${DATABASE_ROW}'`).get()
  return (row as { decision: string } | undefined)?.decision
}

const HAS_TABLE = `select 1 from sqlite_master where type = 'table' and name = '${DECISION_TABLE}'`

async function hasTable(link: DatabaseLink): Promise<boolean> {
  return (await link.execute(HAS_TABLE, [])).rows.length > 0
}
