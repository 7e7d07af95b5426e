/** SQLite files in WAL mode, in a temporary folder that is removed when the run ends. */
import { mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import Database from 'better-sqlite3'
import { closeAtEnd } from './shared-resources.ts'

let folder: string | undefined
let count = 0

/** A new empty database file with a name of its own; its path. The WAL mode is kept in the file, so every connection has it. */
export function sqliteFile(label = 'test'): string {
  const path = join(temporaryFolder(), `${++count}-${label.replaceAll(/[^\w-]+/g, '-')}.sqlite`)
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.close()
  return path
}

/** The run's own folder, for other files of a test. */
export function temporaryFolder(): string {
  if (folder === undefined) {
    const path = (folder = mkdtempSync(join(tmpdir(), 'koa-sqlassist-')))
    const remove = () => rmSync(path, { recursive: true, force: true })
    process.on('exit', remove)
    closeAtEnd(async () => {
      process.off('exit', remove)
      folder = undefined
      await rm(path, { recursive: true, force: true })
    })
  }
  return folder
}
