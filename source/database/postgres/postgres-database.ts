import type { SessionContext } from '@mikro-orm/core'
import type { AbstractSqlConnection, AbstractSqlDriver, SqlEntityManager } from '@mikro-orm/sql'
import { connectionFor, type BeginOptions } from '../begin-options.ts'
import type { Cancellable } from '../cancelling.ts'
import type { ConnectionSource } from '../connection-waits.ts'
import type { DatabaseConnection as KyselyConnection } from 'kysely'
import type { Database, DatabaseConnection, PoolSize, ReadingUnit, Reads, Renewal } from '../database.ts'
import type { Provide } from '../lent-connection.ts'
import { ALLOWED_CONNECTIONS, configuredPool } from './configured-pool.ts'
import { ClientPool } from './client-pool.ts'
import type { PooledClient } from './pooled-client.ts'
import type { PoolReport } from '../pool-report.ts'
import type { Relations } from '../relations.ts'
import { PostgresReplication } from './postgres-replication.ts'
import { ReplicaReads } from './replica-reads.ts'
import { SnapshotOnReplica } from './snapshot-on-replica.ts'
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
  readonly replication: PostgresReplication
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
    this.replication = new PostgresReplication(role, driver, (connection) => this.#clientsOf(connection), this.#aside)
  }

  mayDecide(): void {
    // Everything it takes is done in the commit itself.
  }

  reads(connection: AbstractSqlConnection, em: SqlEntityManager, options: BeginOptions, unit: ReadingUnit): Reads {
    const { set } = this.replication
    if (set === undefined) return this.#readsOver(connection, em, options, unit)
    return new ReplicaReads({
      role: this.#role,
      set,
      reading: { em, unit },
      user: unit.user,
      transaction: readingTransaction(options.isolationLevel),
      primary: this.#readsOver(this.#driver.getConnection('write'), em, options, unit),
    })
  }

  #readsOver(
    connection: AbstractSqlConnection,
    em: SqlEntityManager,
    { isolationLevel }: BeginOptions,
    { user }: ReadingUnit,
  ): PostgresReads {
    const source = { clients: this.#clientsOf(connection), em, user, transaction: readingTransaction(isolationLevel) }
    return new PostgresReads(this.#role, source, this.#streaming)
  }

  begin(
    options: BeginOptions,
    em: SqlEntityManager,
    unit: ReadingUnit,
    cancellable: Cancellable,
  ): Promise<DatabaseConnection> {
    const { set } = this.replication
    const isOnReplica = set !== undefined && connectionFor(options) === 'read'
    if (!isOnReplica) return this.#beginOn(this.#driver.getConnection(connectionFor(options)), options, em, unit)
    const context = em.getTransactionSessionContext()
    return SnapshotOnReplica.open({
      role: this.#role,
      set,
      reading: { em, unit },
      user: unit.user,
      cancelling: cancellable.cancelling,
      startOf: (held) => startOf(options, context, held),
      onPrimary: () => this.#beginOn(this.#driver.getConnection('write'), options, em, unit),
    })
  }

  #beginOn(
    connection: AbstractSqlConnection,
    options: BeginOptions,
    em: SqlEntityManager,
    { user }: ReadingUnit,
  ): Promise<DatabaseConnection> {
    const writes = options.readOnly !== true
    const sessionContext = em.getTransactionSessionContext()
    const begun = (held: PooledClient): PostgresConnection =>
      new PostgresConnection(held, {
        role: this.#role,
        start: startOf(options, sessionContext, held),
        isReading: !writes,
        positions: writes ? this.replication.commits : undefined,
      })
    return this.#clientsOf(connection).take(em, writes, user).then(begun)
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
    this.replication.stop()
    const closeOld = await this.#clientsOf(connection).replace()
    dropped()
    try {
      await connect?.()
    } finally {
      await untilClosed(closeOld())
    }
  }

  async closing(): Promise<(isClosed: boolean) => Promise<void>> {
    this.replication.stop()
    const ends = await Promise.all(Array.from(this.#sources.values(), (source) => source.drained()))
    // Those who were waited for may have used it.
    this.replication.stop()
    return async (isClosed) => void (isClosed && (await Promise.all(ends.map((end) => end()))))
  }

  breakOff(): void {
    this.replication.stop()
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
