/** PgBouncer in transaction mode, where each transaction may run on another connection to the server. Debian's package. */
import { spawn } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { temporaryFolder } from '../tests/support/sqlite.ts'

export interface BouncerOptions {
  readonly port: number
  /** By name: the port of the server on this machine. */
  readonly databases: Readonly<Record<string, number>>
  /** Connections to each server. */
  readonly poolSize: number
}

/** Starts it; returns what stops it. */
export async function startBouncer({ port, databases, poolSize }: BouncerOptions): Promise<() => Promise<void>> {
  const ini = join(temporaryFolder(), `pgbouncer-${port}.ini`)
  const lines = Object.entries(databases).map(
    ([name, serverPort]) => `${name} = host=127.0.0.1 port=${serverPort} user=postgres password=password`,
  )
  writeFileSync(
    ini,
    ['[databases]', ...lines, '[pgbouncer]', `listen_port = ${port}`, 'listen_addr = 127.0.0.1']
      .concat('unix_socket_dir =', 'auth_type = any', 'pool_mode = transaction', 'max_client_conn = 500')
      .concat(`default_pool_size = ${poolSize}`, 'server_round_robin = 1', 'server_login_retry = 1', '')
      .join('\n'),
  )
  // It does not run as root, and has to read this file.
  chmodSync(temporaryFolder(), 0o755)
  chmodSync(ini, 0o644)
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child = spawn('pgbouncer', [...user, '-q', ini], { stdio: ['ignore', 'ignore', 'inherit'] })
  process.on('exit', () => child.kill())
  await reachable(port)
  return async () => {
    const closed = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGINT')
    if (child.exitCode === null) await closed
  }
}

async function reachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    await pause(25)
  }
  throw new Error('pgbouncer did not start')
}
