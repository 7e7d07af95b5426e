import type { SessionContext } from '@mikro-orm/core'
import type { AbstractSqlConnection, AbstractSqlDriver, SqlEntityManager } from '@mikro-orm/sql'
import { connectionFor, type BeginOptions } from '../begin-options.ts'
import type { ConnectionSource, ConnectionUser } from '../connection-waits.ts'
import type { DatabaseConnection as KyselyConnection } from 'kysely'
import type { Database, DatabaseConnection, PoolSize, Renewal } from '../database.ts'
import type { Provide } from '../lent-connection.ts'
import { ALLOWED_CONNECTIONS, configuredPool } from './configured-pool.ts'
import { ClientPool } from './client-pool.ts'
import type { PooledClient } from './pooled-client.ts'
import type { PoolReport } from '../pool-report.ts'
import type { Relations } from '../relations.ts'
import { aside, reportOfPool, type PoolOfClients } from './side-connection.ts'
import { PostgresDecisions, type Aside } from './postgres-decisions.ts'
import { PostgresConnection } from './postgres-connection.ts'
import { PostgresPrepared } from './prepared-transactions.ts'
import { PostgresReads } from './postgres-reads.ts'
import { readingTransaction } from './read-alone.ts'
import type { StreamingClients } from './postgres-streaming.ts'

/** The PostgreSQL database of an ORM, reached through the ORM's own pool. */
export class PostgresDatabase implements Database {
  readonly dialect = 'postgresql'
  readonly decisions: PostgresDecisions
  readonly prepared: PostgresPrepared
  readonly #aside: Aside
  readonly #role: string
  readonly #driver: AbstractSqlDriver
  readonly #relations: () => Relations
  /** One for the primary and one for each replica. */
  readonly #sources = new Map<AbstractSqlConnection, ClientPool>()
  /** The clients over which a session streams outside of a transaction. */
  readonly #streaming: StreamingClients = new WeakMap()

  constructor(role: string, driver: AbstractSqlDriver, relations: () => Relations) {
    this.#role = role
    this.#driver = driver
    this.#relations = relations
    this.#aside = async (work) => await aside(await this.#primary().poolAside(), work)
    this.decisions = new PostgresDecisions(role, this.#aside)
    this.prepared = new PostgresPrepared(this.#aside)
  }

  mayDecide(): void {
    // Everything it takes is done in the commit itself.
  }

  reads(
    connection: AbstractSqlConnection,
    em: SqlEntityManager,
    { isolationLevel }: BeginOptions,
    user: ConnectionUser | undefined,
  ): PostgresReads {
    const source = { clients: this.#clientsOf(connection), em, user, transaction: readingTransaction(isolationLevel) }
    return new PostgresReads(this.#role, source, this.#streaming)
  }

  async begin(
    options: BeginOptions,
    em: SqlEntityManager,
    user: ConnectionUser | undefined,
  ): Promise<DatabaseConnection> {
    const writes = options.readOnly !== true
    const connection = this.#driver.getConnection(connectionFor(options))
    const sessionContext = em.getTransactionSessionContext()
    const held = await this.#clientsOf(connection).take(em, writes, user)
    return new PostgresConnection(held, this.#role, startOf(options, sessionContext, held), !writes)
  }

  get source(): ConnectionSource {
    return this.#primary()
  }

  async lend<T>(
    connection: AbstractSqlConnection,
    provide: Provide,
    consumer: (connection: KyselyConnection) => Promise<T>,
    leftOpen?: () => Error,
  ): Promise<T> {
    const writes = connection === this.#driver.getConnection('write')
    return await this.#clientsOf(connection).lend(provide, consumer, writes, leftOpen !== undefined)
  }

  get poolSize(): PoolSize {
    const { host, port, max } = configuredPool(this.#driver)
    return { server: `${host}:${port}`, max }
  }

  async allowedConnections(): Promise<number | undefined> {
    const { port } = configuredPool(this.#driver)
    return await this.#aside(async (client) => {
      const { rows } = await client.query<{ port: number | null; allowed: number }>(ALLOWED_CONNECTIONS)
      return rows[0]?.port === port ? rows[0].allowed : undefined
    })
  }

  get isInUse(): boolean {
    return Array.from(this.#sources.values()).some(({ isInUse }) => isInUse)
  }

  readonly reopening = undefined

  async renew(connection: AbstractSqlConnection, { dropped, connect, untilClosed }: Renewal): Promise<void> {
    const closeOld = await this.#clientsOf(connection).replace()
    dropped()
    try {
      await connect?.()
    } finally {
      await untilClosed(closeOld())
    }
  }

  async closing(): Promise<(isClosed: boolean) => Promise<void>> {
    const ends = await Promise.all(Array.from(this.#sources.values(), (source) => source.drained()))
    return async (isClosed) => void (isClosed && (await Promise.all(ends.map((end) => end()))))
  }

  breakOff(): void {
    for (const source of this.#sources.values()) source.breakOff()
  }

  async pool(): Promise<PoolReport> {
    return reportOfPool(await this.#pool())
  }

  async #pool(): Promise<PoolOfClients> {
    return await this.#primary().pool()
  }

  #primary(): ClientPool {
    return this.#clientsOf(this.#driver.getConnection('write'))
  }

  #clientsOf(connection: AbstractSqlConnection): ClientPool {
    let source = this.#sources.get(connection)
    if (source === undefined) {
      source = new ClientPool(connection, this.#role, this.#relations)
      this.#sources.set(connection, source)
    }
    return source
  }
}

/** What begins such a transaction. The variables and the role are set as MikroORM does in a transaction that it begins. */
function startOf(
  { isolationLevel, readOnly }: BeginOptions,
  sessionContext: SessionContext | undefined,
  held: PooledClient,
): string[] {
  const isolation = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
  const start = [`begin${isolation}${readOnly === true ? ' read only' : ''}`]
  if (sessionContext === undefined) return start
  const settings = Object.entries(sessionContext.variables ?? {})
  if (settings.length > 0) {
    // Any value is safe: pg quotes them for both settings of standard_conforming_strings.
    const calls = settings.map(
      ([name, value]) => `set_config(${held.literal(name)}, ${held.literal(settingOf(value))}, true)`,
    )
    start.push(`select ${calls.join(', ')}`)
  }
  if (sessionContext.role !== undefined) start.push(`set local role ${held.identifier(sessionContext.role)}`)
  return start
}

function settingOf(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value)
}
