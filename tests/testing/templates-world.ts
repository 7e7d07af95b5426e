/** Urls that no other test has, and what there is of the databases that come from them: files in a folder, or of a server. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, utimesSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import pg from 'pg'
import type { DatabaseTemplate } from '../../source/testing/index.ts'
import type { Dialect } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { closeAtEnd } from '../support/shared-resources.ts'
import { temporaryFolder } from '../support/sqlite.ts'

let count = 0

/** A url whose database is not there, and need not be. */
export async function newUrl(dialect: Dialect, name = ''): Promise<string> {
  const own = `t${process.pid}_${++count}x${name}`
  if (dialect === 'sqlite') return join(mkdtempSync(join(temporaryFolder(), 'templates-')), `${own}.sqlite`)
  const server = await postgres()
  if (process.env['KOA_SQLASSIST_TEST_POSTGRES'] && count === 1) closeAtEnd(dropAll)
  return siblingOf(server.url, own)
}

/** A server that is there for longer than the tests. */
async function dropAll(): Promise<void> {
  const { adminQuery } = await postgres()
  const found = await adminQuery<{ datname: string }>(
    'select datname from pg_database where starts_with(datname, $1)',
    [`t${process.pid}_`],
  )
  for (const { datname } of found) await adminQuery(`drop database ${pg.escapeIdentifier(datname)} with (force)`)
}

/** The same server, another database; or the same folder, another file. */
export function siblingOf(url: string, name: string): string {
  if (!url.startsWith('postgres')) return join(dirname(url), `${name}.sqlite`)
  const sibling = new URL(url)
  sibling.pathname = `/${encodeURIComponent(name)}`
  return sibling.href
}

export function nameIn(url: string): string {
  return decodeURIComponent(new URL(url, 'file:').pathname.replace(/^.*\//, '').replace(/\.sqlite$/, ''))
}

/** The names of all databases that begin with that of the url. */
export async function databasesOf(url: string): Promise<string[]> {
  const names = url.startsWith('postgres')
    ? (await (await postgres()).adminQuery<{ datname: string }>('select datname from pg_database')).map(
        ({ datname }) => datname,
      )
    : readdirSync(dirname(url))
        .filter((file) => file.endsWith('.sqlite'))
        .map((file) => file.replace(/\.sqlite$/, ''))
  return names.filter((name) => name.startsWith(nameIn(url))).toSorted()
}

/** Sends statements over a connection of their own; the rows of the last one. */
export async function sql(url: string, ...statements: string[]): Promise<unknown[]> {
  if (!url.startsWith('postgres')) {
    const database = new Database(url)
    try {
      for (const statement of statements.slice(0, -1)) database.exec(statement)
      const last = database.prepare(statements.at(-1) ?? '')
      return last.reader ? last.all() : [last.run()]
    } finally {
      database.close()
    }
  }
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements.slice(0, -1)) await client.query(statement)
    return (await client.query(statements.at(-1) ?? '')).rows
  } finally {
    await client.end()
  }
}

/** A `migrate` that makes a table of that name with a row, and counts how often it was called. */
export function migration(table = 'goods'): { migrate(url: string): Promise<void>; calls(): number } {
  let calls = 0
  return {
    calls: () => calls,
    async migrate(url) {
      calls += 1
      if (!url.startsWith('postgres')) await sql(url, 'pragma journal_mode = wal')
      await sql(url, `create table ${table} (name text)`, `insert into ${table} values ('first')`)
    },
  }
}

/** As if it had been given out two hours ago. */
export async function makeOld(url: string): Promise<void> {
  if (url.startsWith('postgres')) {
    const { adminQuery } = await postgres()
    const [row] = await adminQuery<{ comment: string }>(
      `select shobj_description(oid, 'pg_database') as comment from pg_database where datname = $1`,
      [nameIn(url)],
    )
    const then = new Date(Date.now() - 2 * 3_600_000).toISOString()
    const comment = row?.comment.replace(/\S+Z$/, then)
    if (comment === undefined || comment === row?.comment) throw new Error(`no time beside ${nameIn(url)}`)
    await adminQuery(`comment on database ${pg.escapeIdentifier(nameIn(url))} is ${pg.escapeLiteral(comment)}`)
  } else {
    for (const ending of ['', '-wal']) {
      try {
        utimesSync(url + ending, 1, 1)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
  }
}

/** The url of the template's own database. */
export function urlOfTemplate({ url, name }: DatabaseTemplate): string {
  return url.startsWith('postgres') ? siblingOf(url, name) : name
}

/** A run of a process that prepares a template, clones the database of a worker and is over then. */
export async function inOtherProcess(
  url: string,
  key: string,
  ...more: string[]
): Promise<{ template: DatabaseTemplate; calls: number; clone: string }> {
  const program = fileURLToPath(new URL('programs/prepare.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--no-warnings', program, url, key, ...more])
  return JSON.parse(stdout)
}
