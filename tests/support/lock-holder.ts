import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'

const PROGRAM = `
  const Database = require('better-sqlite3')
  const database = new Database(process.argv[1])
  database.exec('begin immediate')
  process.stdout.write('locked')
  process.stdin.once('data', () => { database.exec('rollback'); process.exit(0) })
`

/** Another process that holds the write lock of a SQLite file until `release()`. */
export async function holdWriteLock(file: string): Promise<{ release(): Promise<void> }> {
  const holder = spawn(process.execPath, ['-e', PROGRAM, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(holder, 'exit')
  await once(holder.stdout, 'data')
  return {
    async release() {
      holder.stdin.end('release')
      await ended
    },
  }
}
