import { createHash } from 'node:crypto'
import { driverOf, ormOptions } from './driver-of.ts'

export type Row = Readonly<Record<string, unknown>>

/** There is no such database, or the user may not enter it: by its privileges, or by pg_hba.conf. */
const ELSEWHERE = ['3D000', '42501', '28000']
/** What would end a wait for somebody else's template, or this connection during a long `migrate()`. */
const LIMITS = ['statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout']

/** One connection to a server, beside the databases that are made and dropped over it. */
export class PostgresAdmin {
  readonly #execute: (sql: string, values: unknown[]) => Promise<Row[]>
  readonly #close: () => Promise<void>

  /** To the database `postgres`, as advisory locks are one database's; where it has none, to that of the url. */
  static async open(url: string): Promise<PostgresAdmin> {
    try {
      return await PostgresAdmin.inside(urlOf(url, 'postgres'))
    } catch (error) {
      if (!ELSEWHERE.includes(codeOf(error))) throw error
      return await PostgresAdmin.inside(url)
    }
  }

  /** To the database of the url. */
  static async inside(url: string): Promise<PostgresAdmin> {
    const { MikroORM } = await driverOf('@mikro-orm/postgresql', () => import('@mikro-orm/postgresql'))
    const orm = await MikroORM.init({
      ...ormOptions(),
      clientUrl: url,
      dbName: databaseOf(url),
      // One that stays, as it holds the locks.
      pool: { min: 0, max: 1, idleTimeoutMillis: 0 },
    })
    const admin = new PostgresAdmin(
      (sql, values) => orm.em.getConnection().execute<Row[]>(sql, values),
      () => orm.close(),
    )
    try {
      await admin.rows(
        'select set_config(name, ?, false) from pg_catalog.pg_settings where name = any(?::text[])',
        '0',
        `{${LIMITS.join()}}`,
      )
      return admin
    } catch (error) {
      await admin.close()
      throw error
    }
  }

  private constructor(execute: (sql: string, values: unknown[]) => Promise<Row[]>, close: () => Promise<void>) {
    this.#execute = execute
    this.#close = close
  }

  rows(sql: string, ...values: unknown[]): Promise<Row[]> {
    return this.#execute(sql, values)
  }

  /** A statement that takes no parameters; the server puts values into it: %I is a name, %L a literal. */
  async send(format: string, ...values: string[]): Promise<void> {
    const [row] = await this.rows(`select format(?${', ?::text'.repeat(values.length)}) as sql`, format, ...values)
    await this.rows(String(row?.['sql']))
  }

  /**
   * Does the work while no other process has the lock of that name, or while others may share it. After an error it goes with
   * the connection.
   */
  async locked<Result>(mode: 'alone' | 'shared', name: string, work: () => Promise<Result>): Promise<Result> {
    const suffix = mode === 'shared' ? '_shared' : ''
    const key = lockKey(name)
    await this.rows(`select pg_catalog.pg_advisory_lock${suffix}(?::bigint)`, key)
    const result = await work()
    await this.rows(`select pg_catalog.pg_advisory_unlock${suffix}(?::bigint)`, key)
    return result
  }

  /** The same, unless another process has the lock: then nothing is done. */
  async lockedIfFree(name: string, work: () => Promise<void>): Promise<void> {
    const key = lockKey(name)
    const [row] = await this.rows('select pg_catalog.pg_try_advisory_lock(?::bigint) as locked', key)
    if (row?.['locked'] !== true) return
    await work()
    await this.rows('select pg_catalog.pg_advisory_unlock(?::bigint)', key)
  }

  async close(): Promise<void> {
    await this.#close()
  }
}

/** The SQLSTATE of a driver's error. */
export function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code)
}

export function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname).slice(1)
}

export function urlOf(url: string, database: string): string {
  const other = new URL(url)
  other.pathname = `/${encodeURIComponent(database)}`
  return other.href
}

/** Advisory locks are numbers of 64 bits, which all applications of a database share. */
function lockKey(name: string): string {
  return createHash('sha256').update(`koa-sqlassist testing ${name}`).digest().readBigInt64BE().toString()
}
