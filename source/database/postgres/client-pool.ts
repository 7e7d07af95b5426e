import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import { ConnectionHooks } from './connection-hooks.ts'
import { PooledClient } from './pooled-client.ts'
import { isExhausted } from '../pool-report.ts'
import { reportOfPool, type PoolOfClients } from './side-connection.ts'

/** Takes clients out of the pool of one of an ORM's connections: to the primary, or to a replica. */
export class ClientPool {
  readonly #connection: AbstractSqlConnection
  readonly #role: string
  #pool: PoolOfClients | undefined
  #hooks: ConnectionHooks | undefined
  /** Of which Kysely client that pool is; the connection makes another when it is opened again. */
  #kysely: unknown

  constructor(connection: AbstractSqlConnection, role: string) {
    this.#connection = connection
    this.#role = role
  }

  /** Takes one for a session, whose entity manager is `em`, as MikroORM would: its hooks have run. */
  async take(em: SqlEntityManager): Promise<PooledClient> {
    const pool = this.#known() ?? (await this.pool())
    const client = await pool.connect()
    const held = new PooledClient(client, pool, this.#role)
    if (this.#hooks !== undefined) await this.#hooks.run(client, held, em)
    return held
  }

  /**
   * Returns the pool whose options connections beside it use. An ORM that was closed meanwhile still has the old one,
   * and asking for another would open the ORM again.
   */
  async poolAside(): Promise<PoolOfClients> {
    const { connected } = this.#connection as unknown as { readonly connected?: boolean }
    return connected === false && this.#pool !== undefined ? this.#pool : await this.pool()
  }

  async pool(): Promise<PoolOfClients> {
    const pool = (await this.#connection.getNativeClient()) as PoolOfClients
    this.#pool = pool
    this.#kysely = this.#connection.getClient()
    this.#hooks = ConnectionHooks.of(this.#connection)
    return pool
  }

  /** Whether to ask for a client now is to wait until another one is given back. */
  get isExhausted(): boolean {
    const pool = this.#known()
    return pool !== undefined && isExhausted(reportOfPool(pool))
  }

  #known(): PoolOfClients | undefined {
    return this.#connection.getClient() === this.#kysely ? this.#pool : undefined
  }
}
