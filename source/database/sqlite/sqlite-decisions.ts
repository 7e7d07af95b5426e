import { statSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Database as SqliteHandle } from 'better-sqlite3'
import type { DatabaseConnection } from '../database.ts'
import {
  databaseNames,
  IS_DATABASE_ROW,
  nameRowId,
  type DatabaseNames,
  type NameRow,
  type Whereabouts,
  newDatabaseName,
} from '../database-names.ts'
import {
  DECISION_TABLE,
  DECISION_TABLE_SQL,
  notNamed,
  ROWS_A_LOOK,
  type Decision,
  type DecisionRow,
  type Decisions,
  type DecisionSurvey,
  type DecisionTable,
} from '../decisions.ts'
import { DecisionTableError } from '../errors.ts'
import { sqlLiteral } from '../sql-literal.ts'
import { control } from './sqlite-statements.ts'
import { waitWhileBusy } from './wait-while-busy.ts'

/** SQLite's own number for synchronous=FULL. */
const FULL = 2
const ABORTS_KEPT = '-1 day'

/**
 * Decisions in a SQLite file. A session that may become the commit point has its handle made ready before its
 * transaction begins. Neither the table nor its durability can be seen to once it holds the file's one write lock.
 */
export class SqliteDecisions implements Decisions {
  readonly #role: string
  readonly #begin: (readOnly: boolean) => Promise<DatabaseConnection>
  readonly #tables = new WeakMap<SqliteHandle, DecisionTable | Error>()
  #last: SqliteHandle | undefined

  constructor(role: string, begin: (readOnly: boolean) => Promise<DatabaseConnection>) {
    this.#role = role
    this.#begin = begin
  }

  /** Prepares the handle, called by its holder outside of any transaction. What goes wrong is thrown by `ready()`. */
  async makeReady(handle: SqliteHandle): Promise<void> {
    this.#last = handle
    if (this.#tables.get(handle) !== undefined && !(this.#tables.get(handle) instanceof Error)) return
    try {
      // In WAL mode NORMAL leaves a commit to the next checkpoint; a decision has to outlive the power.
      if ((handle.pragma('synchronous', { simple: true }) as number) < FULL) handle.pragma('synchronous = FULL')
      const database = namesIn(handle).name ?? (await create(handle))
      this.#tables.set(handle, {
        database,
        commitSql: ({ id, participants }) =>
          `insert into ${DECISION_TABLE} (id, decision, participants) ` +
          `values (${sqlLiteral(id)}, 'commit', ${sqlLiteral(participants)})`,
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

  gone(error: unknown): DecisionTableError | undefined {
    if ((error as { readonly message?: string }).message !== `no such table: ${DECISION_TABLE}`) return undefined
    this.lookAgain()
    return new DecisionTableError(this.#role, DECISION_TABLE_SQL.sqlite, error, true)
  }

  async fence(id: string, database: string, isFinished?: () => Promise<boolean>): Promise<Decision> {
    // The write lock is had before anything is read: as long as the commit point is at work, it has it.
    return await this.#inTransaction(false, async (connection) => {
      const { numAffectedRows } = await connection.execute(
        `insert into ${DECISION_TABLE} (id, decision) select ?, 'abort' where exists (select 1 from ${DECISION_TABLE} ` +
          `where ${IS_DATABASE_ROW} and decision = ?) on conflict (id) do nothing`,
        [id, database],
      )
      const decision = await decisionIn(connection, id)
      if (decision === undefined) throw notNamed(id)
      if (numAffectedRows !== 1n || (await isFinished?.()) !== true) return decision
      await connection.execute(`delete from ${DECISION_TABLE} where id = ?`, [id])
      return 'commit'
    })
  }

  async find(id: string): Promise<Decision | undefined> {
    return await this.#inTransaction(true, async (connection) => {
      return (await hasTable(connection)) ? await decisionIn(connection, id) : undefined
    })
  }

  async survey(olderThanMs: number): Promise<DecisionSurvey> {
    return await this.#inTransaction(true, async (connection) => {
      const whereabouts = whereaboutsOf((await connection.execute(FILE, [])).rows)
      const isThere = await hasTable(connection)
      const names = databaseNames(whereabouts, isThere ? ((await connection.execute(NAMES, [])).rows as NameRow[]) : [])
      this.#compare(names)
      if (!isThere) return { ...names, committed: [] }
      const committed = await connection.execute(
        `select id, participants from ${DECISION_TABLE} where decision = 'commit' ` +
          `and at <= strftime('%Y-%m-%d %H:%M:%f', 'now', ?) order by at desc limit ${ROWS_A_LOOK}`,
        [`-${olderThanMs / 1000} seconds`],
      )
      return { ...names, committed: committed.rows as DecisionRow[] }
    })
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#inTransaction(false, async (connection) => {
      if (!(await hasTable(connection))) return
      for (const id of ids) await connection.execute(`delete from ${DECISION_TABLE} where id = ?`, [id])
      await connection.execute(
        `delete from ${DECISION_TABLE} where decision = 'abort' ` +
          `and at < strftime('%Y-%m-%d %H:%M:%f', 'now', '${ABORTS_KEPT}')`,
        [],
      )
    })
  }

  /**
   * Looks again where the table was emptied, or the file is another: the next transaction is to give it a name. The
   * holder of the connection calls this, so that no transaction has begun with the old name.
   */
  #compare({ name }: DatabaseNames): void {
    const known = this.#last && this.#tables.get(this.#last)
    if (known !== undefined && !(known instanceof Error) && known.database !== name) this.lookAgain()
  }

  async #inTransaction<T>(readOnly: boolean, work: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const connection = await this.#begin(readOnly)
    try {
      const result = await work(connection)
      const answer = await connection.commit()
      if (answer.outcome === 'refused') throw answer.error
      return result
    } finally {
      await connection.rollback()
      await connection.release()
    }
  }
}

async function create(handle: SqliteHandle): Promise<string> {
  await waitWhileBusy(handle, () => control(handle, 'begin immediate'))
  try {
    handle.prepare(DECISION_TABLE_SQL.sqlite).run()
    handle
      .prepare(`insert or ignore into ${DECISION_TABLE} (id, decision, participants) values (?, ?, ?)`)
      .run(nameRowId(namesIn(handle)), newDatabaseName(), whereaboutsOf(handle.prepare(FILE).all()).text)
    const database = namesIn(handle).name as string
    await waitWhileBusy(handle, () => control(handle, 'commit'))
    return database
  } finally {
    if (handle.inTransaction) control(handle, 'rollback')
  }
}

function namesIn(handle: SqliteHandle): DatabaseNames {
  const whereabouts = whereaboutsOf(handle.prepare(FILE).all())
  const isThere = handle.prepare(HAS_TABLE).get() !== undefined
  return databaseNames(whereabouts, isThere ? (handle.prepare(NAMES).all() as NameRow[]) : [])
}

/** Which file it is, on which machine. Started on another machine a container has its file at the same path. */
function whereaboutsOf([row]: unknown[]): Whereabouts {
  const { file } = row as { file: string }
  const { dev, ino } = file === '' ? { dev: 0, ino: 0 } : statSync(file, { bigint: true })
  const identity = `${hostname()}:${dev}:${ino}`
  return { identity, text: `${identity} ${file}`, continues: (text) => text.slice(text.indexOf(' ') + 1) === file }
}

const FILE = `select coalesce(file, '') as file from pragma_database_list where name = 'main'`
const NAMES = `select decision as name, participants as whereabouts from ${DECISION_TABLE} where ${IS_DATABASE_ROW}`
const HAS_TABLE = `select 1 from sqlite_master where type = 'table' and name = '${DECISION_TABLE}'`

async function hasTable(connection: DatabaseConnection): Promise<boolean> {
  return (await connection.execute(HAS_TABLE, [])).rows.length > 0
}

async function decisionIn(connection: DatabaseConnection, id: string): Promise<Decision | undefined> {
  const { rows } = await connection.execute(`select decision from ${DECISION_TABLE} where id = ?`, [id])
  return (rows as { decision: Decision }[])[0]?.decision
}
