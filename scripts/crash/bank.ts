/** The three databases, with a proxy before each server, in one temporary folder. */
import { mkdtempSync, rmSync, existsSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import Database from 'better-sqlite3'
import pg from 'pg'
import { ACCOUNTS, FIRST_BALANCE, SCHEMA } from './entities.ts'
import type { Breakage, Watch } from './passage.ts'
import { Proxy } from './proxy.ts'
import { CrashableServer, PASSWORD } from './server.ts'

export const SERVERS = ['left', 'right'] as const
export type ServerName = (typeof SERVERS)[number]

export interface Bank {
  readonly servers: Readonly<Record<ServerName, CrashableServer>>
  readonly ports: Readonly<Record<ServerName, number>>
  readonly password: string
  /** The path of the SQLite file. */
  readonly book: string
  watch(watch: Watch): void
  /** Stops everything and removes the folder. */
  close(): Promise<void>
}

const FILL = `insert into account select value, ${FIRST_BALANCE} from generate_series(1, ${ACCOUNTS}) as series(value)`

export async function openBank(breakage?: Breakage): Promise<Bank> {
  const folder = mkdtempSync(join(tmpdir(), 'koa-sqlassist-crash-'))
  await chmod(folder, 0o755)
  const started: CrashableServer[] = []
  const giveUp = (): void => {
    for (const server of started) server.crashNow()
    removeNow(folder)
  }
  process.on('exit', giveUp)
  // Commits of the right one reach its disk late unless somebody insists, as a decision has to.
  const left = await CrashableServer.create(folder, 'left', {}, started)
  const right = await CrashableServer.create(folder, 'right', { synchronous_commit: 'off' }, started)
  for (const server of started) await fillPostgres(server.url())
  const book = join(folder, 'book.sqlite')
  fillSqlite(book)
  const proxies = { left: new Proxy('left', left.port, breakage), right: new Proxy('right', right.port, breakage) }
  await proxies.left.open()
  await proxies.right.open()
  return {
    servers: { left, right },
    ports: { left: proxies.left.port, right: proxies.right.port },
    password: PASSWORD,
    book,
    watch(watch) {
      proxies.left.watch = proxies.right.watch = watch
    },
    async close() {
      await proxies.left.close()
      await proxies.right.close()
      await left.crash()
      await right.crash()
      process.off('exit', giveUp)
      removeNow(folder)
    },
  }
}

async function fillPostgres(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (const sql of [...SCHEMA, FILL, 'checkpoint']) await client.query(sql)
  await client.end()
}

function fillSqlite(path: string): void {
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  for (const sql of SCHEMA) database.exec(sql)
  const insert = database.prepare('insert into account values (?, ?)')
  for (let account = 1; account <= ACCOUNTS; account++) insert.run(account, FIRST_BALANCE)
  database.close()
}

/** A dying server still writes there, and rmSync may then leave the folder without saying so. */
function removeNow(folder: string): void {
  for (let attempts = 0; attempts < 200 && existsSync(folder); attempts += 1) {
    if (attempts > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // not empty after all: once more
    }
  }
}
