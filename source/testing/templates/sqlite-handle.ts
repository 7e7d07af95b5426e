import { setTimeout as sleep } from 'node:timers/promises'
import { driverOf, ormOptions } from './driver-of.ts'

const AGAIN_MS = 25

/** A connection to a file that does not wait for others: the waiting of better-sqlite3 would stop the process. */
export class SqliteHandle {
  readonly #execute: (sql: string) => Promise<Record<string, unknown>[]>
  readonly close: () => Promise<void>

  static async open(path: string): Promise<SqliteHandle> {
    const { MikroORM } = await driverOf('@mikro-orm/sqlite', () => import('@mikro-orm/sqlite'))
    const orm = await MikroORM.init({ ...ormOptions(), dbName: path, driverOptions: { timeout: 0 } })
    return new SqliteHandle(
      (sql) => orm.em.getConnection().execute(sql),
      () => orm.close(),
    )
  }

  private constructor(execute: (sql: string) => Promise<Record<string, unknown>[]>, close: () => Promise<void>) {
    this.#execute = execute
    this.close = close
  }

  /** The rows; undefined where another connection is in the way. */
  async rows(sql: string): Promise<Record<string, unknown>[] | undefined> {
    try {
      return await this.#execute(sql)
    } catch (error) {
      if (String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) return undefined
      throw error
    }
  }
}

/** Does the work while no other process has the lock, which is a file that stays. A process that ends gives it back. */
export async function lockedByFile<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  const handle = await SqliteHandle.open(path)
  try {
    while ((await handle.rows('begin exclusive')) === undefined) await sleep(AGAIN_MS)
    return await work()
  } finally {
    await handle.close()
  }
}
