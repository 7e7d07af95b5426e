import { resolve } from 'node:path'
import process from 'node:process'
import type { Engine } from './role.ts'

/** The roles that share a SQLite file, file by file. */
export function rolesOfSharedFiles(engines: Iterable<Engine>): Engine[][] {
  const files = Map.groupBy(engines, fileOf)
  files.delete(undefined)
  return [...files.values()].filter((sharing) => sharing.length > 1)
}

/** Warns of roles that write to one SQLite file: it has one lock for all of them. */
export function adviseOnSharedWriters(sharing: readonly Engine[]): void {
  const writers = sharing.filter(({ rules }) => rules.writes)
  if (writers.length < 2) return
  process.emitWarning(
    `The roles ${names(writers)} write to one SQLite file, which has one write lock: a request that sends something ` +
      `through one while it holds a transaction of another would wait for itself, and fails. Give each a file of its own.`,
    { code: 'SQLASSIST_SHARED_SQLITE_FILE' },
  )
}

/**
 * Warns of roles that share a SQLite file in a journal mode in which a reader makes a commit wait, or fail. Only the
 * database itself can tell, so the answer comes after the start.
 */
export async function adviseOnJournalMode(sharing: readonly Engine[]): Promise<void> {
  const mode = await sharing[0]?.journalMode()
  if (mode === undefined || mode === 'wal') return
  process.emitWarning(
    `The roles ${names(sharing)} share a SQLite file with journal_mode "${mode}", in which a reader can make a commit ` +
      `fail with SQLITE_BUSY. Run "pragma journal_mode = wal" once on it.`,
    { code: 'SQLASSIST_SQLITE_JOURNAL_MODE' },
  )
}

function names(engines: readonly Engine[]): string {
  return engines.map(({ role }) => `"${role}"`).join(' and ')
}

function fileOf({ dialect, options }: Engine): string | undefined {
  if (dialect !== 'sqlite') return undefined
  const name = options.orm.config.get('dbName')
  return typeof name === 'string' && name !== ':memory:' ? resolve(name) : undefined
}
