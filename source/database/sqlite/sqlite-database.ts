import type { AbstractSqlConnection, AbstractSqlDriver, SqlEntityManager } from '@mikro-orm/sql'
import type { Database as SqliteHandle } from 'better-sqlite3'
import type { DatabaseConnection as KyselyConnection } from 'kysely'
import type { BeginOptions } from '../begin-options.ts'
import type { ConnectionSource, ConnectionUser } from '../connection-waits.ts'
import type { ReadingUnit, Database, DatabaseConnection, Renewal } from '../database.ts'
import { handleQueueOf } from './handle-queue.ts'
import { LentConnection, type Provide } from '../lent-connection.ts'
import { SqliteDecisions } from './sqlite-decisions.ts'
import { SqliteReads } from './sqlite-reads.ts'
import { SqliteConnection } from './sqlite-connection.ts'
import { control } from './sqlite-statements.ts'
import { waitWhileBusy } from './wait-while-busy.ts'

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
    return handleQueueOf(this.#driver.getConnection('write')).role
  }

  get source(): ConnectionSource {
    return handleQueueOf(this.#driver.getConnection('write'))
  }

  /** Returns nothing: there is one connection, and callers wait for it in Kysely. */
  async pool(): Promise<undefined> {
    return undefined
  }

  readonly poolSize = undefined

  async allowedConnections(): Promise<undefined> {
    // A file has no server.
  }

  get isInUse(): boolean {
    return this.source.isTaken
  }

  get reopening(): Promise<void> | undefined {
    return handleQueueOf(this.#driver.getConnection('write')).reopening
  }

  /** Behind those who have asked for the handle before. */
  async renew(connection: AbstractSqlConnection, { close, dropped, connect, untilClosed }: Renewal): Promise<void> {
    const reopening = handleQueueOf(connection).reopen(async () => {
      // It may have been dropped while this waited, and is opened when it is asked for.
      if (!isOpen(connection)) return
      const release = await acquire(connection)
      try {
        if (!isOpen(connection)) return
        await close()
        dropped()
        await connect?.()
      } finally {
        release()
      }
    })
    await untilClosed(reopening)
  }

  async closing(): Promise<() => void> {
    const connection = this.#driver.getConnection('write')
    while (this.reopening !== undefined) await this.reopening
    return isOpen(connection) ? await acquire(connection) : () => undefined
  }

  breakOff(): void {
    // The handle is closed with its ORM, also under those who have it.
  }

  async lend<T>(
    owner: AbstractSqlConnection,
    provide: Provide,
    consumer: (connection: KyselyConnection) => Promise<T>,
    leftOpen?: () => Error,
  ): Promise<T> {
    return await provide(async (connection) => {
      if (leftOpen === undefined) return await LentConnection.lend(connection, consumer)
      const handle = (await owner.getNativeClient()) as SqliteHandle
      const endLeftOpen = (): Error => {
        control(handle, 'rollback')
        return leftOpen()
      }
      const borrower = { role: this.#role, isInTransaction: () => handle.inTransaction, endLeftOpen }
      return await LentConnection.lend(connection, consumer, borrower)
    })
  }

  async begin(options: BeginOptions, _em: SqlEntityManager, { user }: ReadingUnit): Promise<DatabaseConnection> {
    const decides = this.#mayDecide && options.readOnly !== true
    return await this.#begin(options, decides ? (handle) => this.decisions.makeReady(handle) : undefined, user)
  }

  async #begin(
    { readOnly }: BeginOptions,
    first?: (handle: SqliteHandle) => Promise<void>,
    user?: ConnectionUser,
  ): Promise<DatabaseConnection> {
    const connection = this.#driver.getConnection('write')
    const queue = handleQueueOf(connection)
    do {
      if (queue.reopening !== undefined) await queue.reopened(this.#role, user)
      await connection.ensureConnection()
    } while (queue.reopening !== undefined)
    const release = await queue.enter(acquire(connection), this.#role, user)
    try {
      const handle = (await connection.getNativeClient()) as SqliteHandle
      await first?.(handle)
      // A transaction that reads first and writes later would fail with SQLITE_BUSY_SNAPSHOT once another connection wrote.
      await waitWhileBusy(handle, () => control(handle, readOnly === true ? 'begin' : 'begin immediate'))
      return new SqliteConnection(handle, this.#role, release)
    } catch (error) {
      release()
      throw error
    }
  }
}

function isOpen(connection: AbstractSqlConnection): boolean {
  return (connection as unknown as { readonly connected?: boolean }).connected !== false
}

/** Takes the only connection, behind those that asked before. Resolves with what gives it back. */
function acquire(connection: AbstractSqlConnection): Promise<() => void> {
  const { promise, resolve, reject } = Promise.withResolvers<() => void>()
  const executor = connection.getClient().getExecutor()
  // The prototype's own: others that ask for this connection inside the same request are refused (attach-orm.ts).
  const prototype = Object.getPrototypeOf(executor) as typeof executor
  prototype.provideConnection.call(executor, () => new Promise<void>((release) => resolve(release))).catch(reject)
  return promise
}
