import { resolve } from 'node:path'
import process from 'node:process'
import { isSqlite } from './database-of.ts'
import type { Engine } from './engine.ts'
import { rulesOf } from './role-kinds.ts'
import type { ResolvedEngineOptions } from './engine-options.ts'

/** The roles that share a SQLite file, file by file. */
export function rolesOfSharedFiles(roles: readonly ResolvedEngineOptions[]): ResolvedEngineOptions[][] {
  const files = Map.groupBy(roles, fileOf)
  files.delete(undefined)
  return [...files.values()].filter((sharing) => sharing.length > 1)
}

/** The roles that share a file with `role`; `shared` is the result of {@link rolesOfSharedFiles}. */
export function rolesBeside(role: string, shared: readonly (readonly ResolvedEngineOptions[])[]): string[] {
  const sharing = shared.find((roles) => roles.some((each) => each.role === role)) ?? []
  return sharing.filter((other) => other.role !== role).map((other) => other.role)
}

/** Warns of roles that write to one SQLite file, which has one lock for all of them. */
export function warnOfSharedWriters(sharing: readonly ResolvedEngineOptions[]): void {
  const writers = sharing.filter(({ kind }) => rulesOf(kind).writes)
  if (writers.length < 2) return
  process.emitWarning(
    `The roles ${names(writers)} write to one SQLite file, which has one write lock: a request that sends something ` +
      `through one while it holds a transaction of another would wait for itself, and fails. Give each a file of its own.`,
    { code: 'SQLASSIST_SHARED_SQLITE_FILE' },
  )
}

/**
 * Warns of roles that share a SQLite file in a journal mode in which a reader makes a commit wait, or fail. The warning
 * comes after the start: the database has to be asked.
 */
export async function warnOfJournalMode(sharing: readonly Engine[]): Promise<void> {
  const mode = await sharing[0]?.journalMode()
  if (mode === undefined || mode === 'wal') return
  process.emitWarning(
    `The roles ${names(sharing)} share a SQLite file with journal_mode "${mode}", in which a reader can make a commit ` +
      `fail with SQLITE_BUSY. Run "pragma journal_mode = wal" once on it.`,
    { code: 'SQLASSIST_SQLITE_JOURNAL_MODE' },
  )
}

function names(roles: readonly { readonly role: string }[]): string {
  return roles.map(({ role }) => `"${role}"`).join(' and ')
}

function fileOf({ orm }: ResolvedEngineOptions): string | undefined {
  if (!isSqlite(orm.driver)) return undefined
  const name = orm.config.get('dbName')
  return typeof name === 'string' && name !== ':memory:' ? resolve(name) : undefined
}
