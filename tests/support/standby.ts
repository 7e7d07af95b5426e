/**
 * A standby of a PostgreSQL server that runs on this machine: a copy of its files that replays what it writes. It lags at will, and
 * can be killed, frozen and promoted.
 */
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import pg from 'pg'
import { importWithoutExitHooks, keepTail, newFolder, stopWithTheProcess } from './embedded-postgres.ts'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

const run = promisify(execFile)
/** A standby does not start where one of these is lower than at its primary. */
const AT_LEAST = [
  'max_connections',
  'max_prepared_transactions',
  'max_worker_processes',
  'max_wal_senders',
  'max_locks_per_transaction',
]
const CONFLICT = '40001'
const READY = /ready to accept (?:read-only )?connections/

export interface Standby {
  readonly port: number
  /** Host and port, as the library names it. */
  readonly name: string
  /** A query over a connection of its own, as superuser. */
  query<Row extends pg.QueryResultRow = Record<string, any>>(sql: string, values?: unknown[]): Promise<Row[]>
  /** It replays nothing from here on. Resolves when that is so. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Waits until it has replayed what the primary has written by now. */
  caughtUp(): Promise<void>
  /** Ends it as a crash does. */
  kill(): Promise<void>
  /** Starts it again at the same port; resolves when it answers. */
  start(): Promise<void>
  /** Its processes stand still: connections stay open, and nothing answers. */
  freeze(): void
  thaw(): void
  promote(): Promise<void>
  stop(): Promise<void>
}

/** Makes a standby of the server at `primary`, a superuser's url; `settings` are those of the standby. */
export async function startStandby(
  primary: string,
  settings: Readonly<Record<string, string>> = {},
  port?: number,
): Promise<Standby> {
  const folder = await newFolder()
  const databaseDir = join(folder, 'data')
  const needed = await copyFiles(primary, databaseDir)
  const standby = new LocalStandby(primary, folder, port ?? (await freePort()), { ...needed, ...settings })
  await standby.start()
  return standby
}

/** By a backup of the running server. Returns the settings that its standby needs. */
async function copyFiles(primary: string, databaseDir: string): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: primary })
  await client.connect()
  try {
    const [{ data_directory: source }] = (await client.query('show data_directory')).rows as [
      { data_directory: string },
    ]
    await client.query(`select pg_backup_start('standby', true)`)
    // What the server removes meanwhile is in its log.
    await run('cp', ['-a', source, databaseDir]).catch((error: unknown) => assertOnlyGone(error))
    const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    await writeFile(join(databaseDir, 'backup_label'), rows[0]?.labelfile ?? '')
    await writeFile(join(databaseDir, 'standby.signal'), '')
    for (const name of ['postmaster.pid', 'postmaster.opts']) await rm(join(databaseDir, name), { force: true })
    const { uid, gid } = await stat(source)
    await run('chown', ['-R', `${uid}:${gid}`, databaseDir])
    const found = await client.query<{ name: string; setting: string }>(
      'select name, setting from pg_settings where name = any($1)',
      [AT_LEAST],
    )
    return Object.fromEntries(found.rows.map(({ name, setting }) => [name, setting]))
  } finally {
    await client.end()
  }
}

function assertOnlyGone(error: unknown): void {
  const { stderr = '' } = error as { stderr?: string }
  const lines = stderr.split('\n').filter((line) => line !== '')
  if (lines.length === 0 || !lines.every((line) => line.includes('No such file'))) throw error
}

class LocalStandby implements Standby {
  readonly port: number
  readonly #primary: string
  readonly #folder: string
  readonly #databaseDir: string
  readonly #settings: Readonly<Record<string, string>>
  readonly #log: string[] = []
  readonly #removeExitHandlers: () => void
  #isReady = false

  constructor(primary: string, folder: string, port: number, settings: Readonly<Record<string, string>>) {
    this.#primary = primary
    this.#folder = folder
    this.#databaseDir = join(folder, 'data')
    this.port = port
    this.#settings = settings
    this.#removeExitHandlers = stopWithTheProcess(folder, this.#databaseDir)
  }

  get name(): string {
    return `127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const Embedded = await importWithoutExitHooks()
    const { username, password, hostname, port } = new URL(this.#primary)
    const flags: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      fsync: 'off',
      timezone: 'UTC',
      log_timezone: 'UTC',
      wal_retrieve_retry_interval: '100ms',
      primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password} application_name=standby`,
      ...this.#settings,
    }
    this.#isReady = false
    const server = new Embedded({
      databaseDir: this.#databaseDir,
      port: this.port,
      user: username,
      password,
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      postgresFlags: Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      onLog: (line) => this.#note(line),
      onError: (error) => keepTail(this.#log, String(error)),
    })
    let hasEnded = false
    // It resolves only when the server is promoted, and rejects when it ends.
    server.start().catch(() => (hasEnded = true))
    await until(() => {
      if (hasEnded) throw new Error(`the standby ended: ${this.#log.join('')}`)
      return this.#isReady
    }, 'the standby to be ready')
  }

  #note(line: string): void {
    keepTail(this.#log, line)
    if (READY.test(line)) this.#isReady = true
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]> {
    const { username, password } = new URL(this.#primary)
    const client = new pg.Client({ host: '127.0.0.1', port: this.port, user: username, password, database: 'postgres' })
    await client.connect()
    try {
      return (await client.query<Row>(sql, values)).rows
    } catch (error) {
      // What it replays may cancel any statement.
      if ((error as { readonly code?: unknown }).code === CONFLICT) return await this.query(sql, values)
      throw error
    } finally {
      await client.end()
    }
  }

  async pause(): Promise<void> {
    await this.query('select pg_wal_replay_pause()')
    await until(async () => {
      const [row] = await this.query('select pg_get_wal_replay_pause_state() as state')
      return row?.['state'] === 'paused'
    }, 'the replay to be paused')
  }

  async resume(): Promise<void> {
    await this.query('select pg_wal_replay_resume()')
  }

  async caughtUp(): Promise<void> {
    const client = new pg.Client({ connectionString: this.#primary })
    await client.connect()
    const { rows } = await client.query('select pg_current_wal_flush_lsn()::text as position')
    await client.end()
    await until(async () => {
      const [row] = await this.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as is_there', [rows[0].position])
      return row?.['is_there'] === true
    }, 'the standby to catch up')
  }

  async kill(): Promise<void> {
    await this.#end('SIGQUIT')
  }

  freeze(): void {
    this.#signal('SIGSTOP')
  }

  thaw(): void {
    this.#signal('SIGCONT')
  }

  #signal(signal: NodeJS.Signals): void {
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, signal)
      } catch (error) {
        // It has ended meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
  }

  async promote(): Promise<void> {
    await this.query('select pg_promote()')
  }

  async stop(): Promise<void> {
    this.thaw()
    await this.#end('SIGINT')
    this.#removeExitHandlers()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const [postmaster] = this.#processes()
    if (postmaster === undefined) return
    process.kill(postmaster, signal)
    await until(() => !isRunning(postmaster), 'the standby to end')
  }

  /** The postmaster and what it has started. */
  #processes(): number[] {
    let postmaster: number
    try {
      postmaster = Number(readFileSync(join(this.#databaseDir, 'postmaster.pid'), 'utf8').split('\n', 1)[0])
    } catch {
      return []
    }
    if (!isRunning(postmaster)) return []
    const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === postmaster)
    return [postmaster, ...children.map(Number)]
  }
}

function parentOf(pid: string): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

/** Whether it runs: what has ended and was not waited for yet does not. */
function isRunning(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2)[0] !== 'Z'
  } catch {
    return false
  }
}
