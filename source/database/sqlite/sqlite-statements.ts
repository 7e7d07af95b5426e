import type { Database as SqliteHandle, Statement } from 'better-sqlite3'
import type { StatementResult } from '../database.ts'
import { statementKind, type StatementKind } from '../statement-kind.ts'

type Control = 'begin' | 'begin immediate' | 'commit' | 'rollback'

const controls = new WeakMap<SqliteHandle, Partial<Record<Control, Statement>>>()

/** Begins or ends a transaction; to prepare it costs more than to run it, so it is kept. */
export function control(handle: SqliteHandle, sql: Control): void {
  let prepared = controls.get(handle)
  if (prepared === undefined) controls.set(handle, (prepared = {}))
  const statement = (prepared[sql] ??= handle.prepare(sql))
  statement.run()
}

/** Returns what `sql` does. SQLite knows, except of a statement that begins or ends a transaction. */
export function kindOf(sql: string, prepare: (sql: string) => Statement): StatementKind {
  if (statementKind(sql, 'sqlite') === 'control') return 'control'
  return prepare(sql).readonly ? 'read' : 'write'
}

export function runPrepared(statement: Statement, parameters: readonly unknown[]): StatementResult {
  if (statement.reader) return { rows: statement.all(parameters) }
  const { changes, lastInsertRowid } = statement.run(parameters)
  return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
}
