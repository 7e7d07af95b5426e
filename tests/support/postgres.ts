/**
 * The PostgreSQL server of a test run: started on first use and shared by all test files, or the one named by
 * KOA_SQLASSIST_TEST_POSTGRES. Never skipped: where no server can be had, the first test that asks fails.
 */
import process from 'node:process'
import pg from 'pg'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { closeAtEnd } from './shared-resources.ts'

export interface Postgres {
  /** The server's administrative database, as superuser. */
  readonly url: string
  /** A query over a connection of its own to the administrative database. */
  adminQuery<Row extends pg.QueryResultRow = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>
  /** A new empty database with a name of its own, dropped when the run ends; its url. */
  createDatabase(label?: string): Promise<string>
}

/** Every minute a process for each of them, and what only a crash of the machine makes worth its time. */
const FOR_MANY_DATABASES = { autovacuum: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

let shared: Promise<Postgres> | undefined

export function postgres(): Promise<Postgres> {
  return (shared ??= open())
}

/** A new empty database on the run's server; its url. */
export async function createDatabase(label?: string): Promise<string> {
  const server = await postgres()
  return await server.createDatabase(label)
}

/** The major version of the run's server, for what not all have. */
export async function serverMajor(): Promise<number> {
  const server = await postgres()
  const [row] = await server.adminQuery<{ server_version_num: string }>('show server_version_num')
  return Math.trunc(Number(row?.server_version_num) / 10_000)
}

async function open(): Promise<Postgres> {
  const given = process.env['KOA_SQLASSIST_TEST_POSTGRES']
  if (given) {
    const server = await usePostgres(given)
    closeAtEnd(server.close)
    return server
  }
  const embedded = await startEmbeddedPostgres(FOR_MANY_DATABASES)
  closeAtEnd(embedded.stop)
  const server = await usePostgres(embedded.url)
  // Its databases go with it. To drop hundreds of them takes longer than many a test.
  closeAtEnd(server.leave)
  return server
}

/** A server that runs already: what the tests need of it is checked. `close` drops what they made in it, `leave` does not. */
export async function usePostgres(url: string): Promise<Postgres & { close(): Promise<void>; leave(): Promise<void> }> {
  const admin = new pg.Client({ connectionString: url, application_name: 'koa-sqlassist tests' })
  let lost: Error | undefined
  admin.on('error', (error) => (lost = error))
  await admin.connect().catch((error: unknown) => {
    throw new Error(`no connection to PostgreSQL at ${withoutPassword(url)}: ${describe(error)}`, { cause: error })
  })
  const created: string[] = []

  async function adminQuery<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]> {
    if (lost) throw lost
    return (await admin.query<Row>(sql, values)).rows
  }

  const [setting] = await adminQuery<{ max_prepared_transactions: string }>('show max_prepared_transactions')
  if (Number(setting?.max_prepared_transactions) < 10) {
    await admin.end()
    throw new Error(
      `PostgreSQL at ${withoutPassword(url)} has max_prepared_transactions = ${setting?.max_prepared_transactions}; ` +
        'the tests prepare transactions: set it to 50 in postgresql.conf and restart the server',
    )
  }

  return {
    url,
    adminQuery,
    async createDatabase(label = 'test') {
      const name =
        `sqlassist_${process.pid}_${created.length + 1}_${label.replaceAll(/[^a-z0-9]+/gi, '_').toLowerCase()}`.slice(
          0,
          63,
        )
      created.push(name)
      await adminQuery(`create database ${admin.escapeIdentifier(name)}`)
      return databaseUrl(url, name)
    },
    async leave() {
      await admin.end()
    },
    async close() {
      for (const name of created.splice(0)) await dropDatabase(url, name, adminQuery)
      await admin.end()
    },
  }
}

/** A prepared transaction keeps its database from being dropped, and can only be rolled back from within that database. */
async function dropDatabase(url: string, name: string, adminQuery: Postgres['adminQuery']): Promise<void> {
  const prepared = await adminQuery<{ gid: string }>('select gid from pg_prepared_xacts where database = $1', [name])
  if (prepared.length > 0) {
    const client = new pg.Client({ connectionString: databaseUrl(url, name) })
    await client.connect()
    for (const { gid } of prepared) await client.query(`rollback prepared ${client.escapeLiteral(gid)}`)
    await client.end()
  }
  await adminQuery(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`)
}

function databaseUrl(server: string, database: string): string {
  const url = new URL(server)
  url.pathname = `/${database}`
  return url.href
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  url.password = ''
  return url.href
}

/** A refused connection is an AggregateError without a message of its own. */
function describe(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  return message || code || String(error)
}
