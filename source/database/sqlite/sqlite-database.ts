import type { AbstractSqlConnection, AbstractSqlDriver } from '@mikro-orm/sql'
import type { Database as SqliteHandle } from 'better-sqlite3'
import type { BeginOptions } from '../begin-options.ts'
import type { Database, DatabaseConnection } from '../database.ts'
import { SqliteDecisions } from './sqlite-decisions.ts'
import { SqliteReads } from './sqlite-reads.ts'
import { SqliteConnection } from './sqlite-connection.ts'
import { control } from './sqlite-statements.ts'
import { waitWhileBusy } from './wait-while-busy.ts'

/** The role of the session that has the connection of an ORM. */
const holders = new WeakMap<AbstractSqlConnection, string>()

/** The SQLite database of an ORM: one handle, which Kysely's mutex gives to one user at a time. */
export class SqliteDatabase implements Database {
  readonly dialect = 'sqlite'
  readonly decisions: SqliteDecisions
  readonly #role: string
  readonly #driver: AbstractSqlDriver
  #mayDecide = false

  constructor(role: string, driver: AbstractSqlDriver) {
    this.#role = role
    this.#driver = driver
    this.decisions = new SqliteDecisions(role, (readOnly) => this.#begin({ readOnly }))
  }

  mayDecide(): void {
    this.#mayDecide = true
  }

  reads(connection: AbstractSqlConnection): SqliteReads {
    return new SqliteReads(connection)
  }

  get holder(): string | undefined {
    return holders.get(this.#driver.getConnection('write'))
  }

  /** Returns nothing: there is one connection, and callers wait for it in Kysely. */
  async pool(): Promise<undefined> {
    return undefined
  }

  async begin(options: BeginOptions): Promise<DatabaseConnection> {
    const decides = this.#mayDecide && options.readOnly !== true
    return await this.#begin(options, decides ? (handle) => this.decisions.makeReady(handle) : undefined)
  }

  async #begin(
    { readOnly }: BeginOptions,
    first?: (handle: SqliteHandle) => Promise<void>,
  ): Promise<DatabaseConnection> {
    const connection = this.#driver.getConnection('write')
    const handle = (await connection.getNativeClient()) as SqliteHandle
    const released = Promise.withResolvers<void>()
    const acquired = Promise.withResolvers<void>()
    const executor = connection.getClient().getExecutor()
    // The prototype's own: others that ask for this connection inside the same request are refused (attach-orm.ts).
    const prototype = Object.getPrototypeOf(executor) as typeof executor
    prototype.provideConnection
      .call(executor, () => {
        acquired.resolve()
        return released.promise
      })
      .catch(acquired.reject)
    await acquired.promise
    holders.set(connection, this.#role)
    const release = (): void => {
      holders.delete(connection)
      released.resolve()
    }
    try {
      await first?.(handle)
      // A transaction that reads first and writes later would fail with SQLITE_BUSY_SNAPSHOT once another connection wrote.
      await waitWhileBusy(handle, () => control(handle, readOnly === true ? 'begin' : 'begin immediate'))
    } catch (error) {
      release()
      throw error
    }
    return new SqliteConnection(handle, this.#role, release)
  }
}
