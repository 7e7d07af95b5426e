import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { DatabaseConnection, Kysely } from 'kysely'
import type { Client, PoolClient } from 'pg'
import { waitForConnection, type ConnectionSource, type ConnectionUser } from '../connection-waits.ts'
import { heldElsewhere } from '../held-elsewhere.ts'
import { LentConnection, type Provide } from '../lent-connection.ts'
import type { Relations } from '../relations.ts'
import { cutOff } from './server-line.ts'
import { ClientConnection } from './client-connection.ts'
import { listenersOf } from './distrusted-pool.ts'
import { drained, ended } from './drained.ts'
import { ConnectionHooks, hookedConnection } from './connection-hooks.ts'
import { PooledClient, type ClientSurroundings } from './pooled-client.ts'
import { isExhausted } from '../pool-report.ts'
import { idleUserOf } from './held-clients.ts'
import { reportOfPool, type PoolOfClients } from './side-connection.ts'
import { ContextValue } from '../../transaction/context-value.ts'

/** What a ClientPool knows of the pool that its connection has now. */
interface KnownPool {
  readonly pool: PoolOfClients
  /** Of which Kysely client that pool is; the connection makes another when it is opened again. */
  readonly kysely: Kysely<any>
  readonly hooks: ConnectionHooks | undefined
  readonly around: ClientSurroundings
}

/** The client that Kysely takes out of a pool, of which Kysely shows nothing. */
interface Taken {
  client?: PoolClient
}
const taking = new ContextValue<Taken>('taking')

/** Takes clients out of the pool of one of an ORM's connections: to the primary, or to a replica. */
export class ClientPool implements ConnectionSource {
  readonly #connection: AbstractSqlConnection
  readonly #role: string
  readonly #relations: () => Relations
  #known: KnownPool | undefined
  readonly #replaced = new Set<PoolOfClients>()

  constructor(connection: AbstractSqlConnection, role: string, relations: () => Relations) {
    this.#connection = connection
    this.#role = role
    this.#relations = relations
  }

  /** Takes one for a session, whose entity manager is `em`, as MikroORM would: its hooks have run. `writes`: it may write. */
  async take(em: SqlEntityManager, writes: boolean, user?: ConnectionUser): Promise<PooledClient> {
    const { pool, hooks, around } = this.#present() ?? (await this.#open())
    const waits = user !== undefined && isExhausted(reportOfPool(pool))
    const connecting = pool.connect()
    const client = await (waits ? this.#inTurn(connecting, user) : connecting)
    const held = new PooledClient(client, around, { writes, isLent: false, user })
    if (hooks !== undefined) {
      await hooks.run(client, held, em)
      held.takeSettings()
    }
    return held
  }

  #inTurn(connecting: Promise<PoolClient>, user: ConnectionUser): Promise<PoolClient> {
    return waitForConnection(connecting, { user, role: this.#role, source: this }, (client) => client.release())
  }

  readonly isSingle = false

  get isTaken(): boolean {
    return this.isExhausted || heldElsewhere(this.#connection).length > 0
  }

  /** Those of all its clients; undefined where there is one of which that is not known, or could be one more. */
  holders(): readonly ConnectionUser[] | undefined {
    const pool = this.#present()?.pool
    if (pool === undefined || pool.idleCount > 0 || pool.totalCount < reportOfPool(pool).max) return undefined
    const users = pool._clients.map(idleUserOf).filter((user) => user !== undefined)
    const elsewhere = heldElsewhere(this.#connection)
    return users.length + elsewhere.length >= pool.totalCount ? [...users, ...elsewhere] : undefined
  }

  /**
   * Passes a client that Kysely takes to `consumer`. It is cleaned, or closed, before it is given back; the answer waits for
   * that only where it is known that something is left.
   */
  async lend<T>(
    provide: Provide,
    consumer: (connection: DatabaseConnection) => Promise<T>,
    writes: boolean,
    isOfSession = false,
  ): Promise<T> {
    let known = this.#present()
    for (; known === undefined; known = this.#present()) await this.#open()
    const { pool, hooks, around } = known
    notesTaken(pool)
    const taken: Taken = {}
    const answer = Promise.withResolvers<T>()
    const lending = taking.run(taken, () =>
      provide(async (connection) => {
        const held = new PooledClient(taken.client as PoolClient, around, { writes, isLent: true })
        delete taken.client
        if (hooks !== undefined) held.takeSettings()
        const borrower = isOfSession ? { role: this.#role, isInTransaction: () => held.isInTransaction } : undefined
        const used = LentConnection.lend(new ClientConnection(connection, held), consumer, borrower)
        try {
          return await used
        } finally {
          await held.handOver(() => answer.resolve(used))
        }
      }),
    )
    lending.then(answer.resolve, answer.reject)
    return await answer.promise
  }

  /**
   * Returns the pool whose options connections beside it use. An ORM that was closed meanwhile still has the old one,
   * and asking for another would open the ORM again.
   */
  async poolAside(): Promise<PoolOfClients> {
    const { connected } = this.#connection as unknown as { readonly connected?: boolean }
    return connected === false && this.#known !== undefined ? this.#known.pool : await this.pool()
  }

  async pool(): Promise<PoolOfClients> {
    return (await this.#open()).pool
  }

  async #open(): Promise<KnownPool> {
    let kysely: Kysely<any>
    let pool: PoolOfClients
    do {
      kysely = this.#connection.getClient()
      pool = (await this.#connection.getNativeClient()) as PoolOfClients
      // Both may have been replaced meanwhile.
    } while (kysely !== this.#connection.getClient())
    const hooks = ConnectionHooks.of(this.#connection)
    const around = {
      pool,
      role: this.#role,
      relations: this.#relations,
      setUp: async (client: PoolClient, held: PooledClient): Promise<void> => {
        assertSettable(pool)
        await pool.options.onConnect?.(client)
        await hooks?.create(hookedConnection(held))
      },
    }
    this.#known = { pool, kysely, hooks, around }
    return this.#known
  }

  /**
   * Has the connection lead to another pool, which opens clients when they are asked for. Returns what closes the old one,
   * once all its clients are given back.
   */
  async replace(): Promise<() => Promise<void>> {
    let old: KnownPool
    do old = await this.#open()
    while (old.kysely !== this.#connection.getClient())
    await this.#connection.createKysely()
    this.#replaced.add(old.pool)
    return async () => {
      await drained(old.pool)
      this.#replaced.delete(old.pool)
      await old.kysely.destroy()
      await ended(old.pool)
    }
  }

  /** The present one, and those that were replaced and are not closed. */
  get #pools(): PoolOfClients[] {
    const present = this.#present()
    return present === undefined ? [...this.#replaced] : [present.pool, ...this.#replaced]
  }

  /** Whether somebody has one of its clients. */
  get isInUse(): boolean {
    return this.#pools.some(({ idleCount, totalCount }) => idleCount < totalCount)
  }

  /** Waits until all clients are given back, and nobody waits for one. Returns what ends the pools, behind their ORM. */
  async drained(): Promise<() => Promise<void>> {
    const pools = this.#pools
    await Promise.all(pools.map(drained))
    return async () => void (await Promise.all(pools.map(ended)))
  }

  /** Closes all clients, also those that somebody has. */
  breakOff(): void {
    for (const client of this.#pools.flatMap(({ _clients }) => _clients)) {
      void (client as Client).end().catch(() => undefined)
    }
  }

  /** Closes the connections of all clients at once, for a server that may not answer a farewell. The pool goes on. */
  cutOff(): void {
    for (const client of this.#pools.flatMap(({ _clients }) => _clients)) cutOff(client)
  }

  /** Whether to ask for a client now is to wait until another one is given back. */
  get isExhausted(): boolean {
    const pool = this.#present()?.pool
    return pool !== undefined && isExhausted(reportOfPool(pool))
  }

  #present(): KnownPool | undefined {
    return this.#connection.getClient() === this.#known?.kysely ? this.#known : undefined
  }
}

/** MikroORM's own listener for new clients, which sets nothing. */
const MIKRO_ORMS_LISTENERS = 1

/** @throws where the program sets new clients up in a way that cannot be done again */
function assertSettable(pool: PoolOfClients): void {
  if (pool.options.verify !== undefined || pool.listenerCount('connect') > MIKRO_ORMS_LISTENERS + listenersOf(pool)) {
    throw new Error('only new clients are set up')
  }
}

const noting = new WeakSet<PoolOfClients>()

/** Has `pool` note which client it gives to whom. */
function notesTaken(pool: PoolOfClients): void {
  if (noting.has(pool)) return
  noting.add(pool)
  const connect: (...args: unknown[]) => Promise<PoolClient> = pool.connect.bind(pool)
  // pg's pool calls it with a callback.
  pool.connect = async function noted(...args: unknown[]): Promise<PoolClient> {
    const client = await connect(...args)
    const taken = taking.get()
    if (taken !== undefined) taken.client = client
    return client
  }
}
