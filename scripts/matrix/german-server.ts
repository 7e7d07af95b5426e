import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import pg from 'pg'
import { until } from '../../tests/support/until.ts'
import { installFromDebian } from './debian.ts'
import { freePort } from '../../tests/support/free-port.ts'

const BINARIES = '/usr/lib/postgresql/15/bin'
const LOCALE = 'de_DE.UTF-8'

/** Has work use a PostgreSQL whose messages are German, by its url. @throws where Debian's packages cannot be had */
export async function withGermanServer<T>(work: (url: string) => Promise<T>): Promise<T> {
  installFromDebian('postgresql-15', `${BINARIES}/initdb`)
  installFromDebian('locales', '/usr/share/i18n/locales/de_DE')
  const folder = await mkdtemp(join(tmpdir(), 'koa-sqlassist-german-'))
  await chmod(folder, 0o777)
  execFileSync('localedef', ['-i', 'de_DE', '-f', 'UTF-8', join(folder, LOCALE)])
  const options = { ...asOrdinaryUser(), env: { ...process.env, LOCPATH: folder } }
  const data = join(folder, 'data')
  execFileSync(`${BINARIES}/initdb`, ['-D', data, '-U', 'postgres', '--auth=trust', '--locale=C', '-E', 'UTF8', '-N'], {
    ...options,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const port = await freePort()
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=`,
    'max_connections=200',
    'max_prepared_transactions=50',
    'fsync=off',
    'timezone=UTC',
    `lc_messages=${LOCALE}`,
  ]
  const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  const server = spawn(`${BINARIES}/postgres`, args, { ...options, stdio: 'ignore' })
  const gone = once(server, 'exit')
  try {
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`
    await until(() => isGerman(url), 'the German server')
    return await work(url)
  } finally {
    server.kill('SIGINT')
    await gone
    await rm(folder, { recursive: true, force: true })
  }
}

async function isGerman(url: string): Promise<boolean> {
  const client = new pg.Client(url)
  try {
    await client.connect()
    await client.query('select 1 / 0')
    return false
  } catch (error) {
    return (error as Error).message === 'Division durch Null'
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** PostgreSQL does not run as root; Debian's package made a user for it. */
function asOrdinaryUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}
