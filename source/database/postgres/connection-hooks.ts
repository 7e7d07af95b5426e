import type { SessionContext } from '@mikro-orm/core'
import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { CompiledQuery, QueryResult } from 'kysely'
import type { PoolClient } from 'pg'
import type { PooledClient } from './pooled-client.ts'
import { resultOf } from './results.ts'

/** As much of a Kysely connection as the hooks are given. */
export interface HookedConnection {
  executeQuery(query: Pick<CompiledQuery, 'sql' | 'parameters'>): Promise<QueryResult<unknown>>
}
type Hook = (connection: HookedConnection) => Promise<void>
type HookName = 'onCreateConnection' | 'onReserveConnection'

/** What MikroORM keeps to itself of a connection: https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/postgresql/src/PostgreSqlConnection.ts */
interface Internals {
  readonly options: { readonly [Name in HookName]?: Hook }
  readonly config: { get(name: HookName | 'sessionContext'): unknown }
  buildConnectionSessionStatements(context: SessionContext | undefined): readonly { sql: string; params: unknown[] }[]
}

/**
 * What MikroORM has Kysely do to a connection before it is used. There are the hooks `onCreateConnection` and
 * `onReserveConnection`, and with `sessionContext: 'connection'` the variables and the role of row level security.
 */
export class ConnectionHooks {
  readonly #connection: Internals
  readonly #create: Hook | undefined
  readonly #reserve: Hook | undefined
  readonly #setsContext: boolean
  /** Clients that the hook for new connections has seen here. Kysely keeps account of its own. */
  static readonly #created = new WeakSet<PoolClient>()

  /** Undefined where there is nothing to be done. */
  static of(connection: AbstractSqlConnection): ConnectionHooks | undefined {
    const hooks = new ConnectionHooks(connection as unknown as Internals)
    const isNeeded = hooks.#create !== undefined || hooks.#reserve !== undefined || hooks.#setsContext
    return isNeeded ? hooks : undefined
  }

  private constructor(connection: Internals) {
    this.#connection = connection
    this.#create = hookOf(connection, 'onCreateConnection')
    this.#reserve = hookOf(connection, 'onReserveConnection')
    this.#setsContext = connection.config.get('sessionContext') === 'connection'
  }

  /** Runs them for a session, whose entity manager is `em`. A client of which one fails is closed. */
  async run(client: PoolClient, held: PooledClient, em: SqlEntityManager): Promise<void> {
    const hooked = hookedConnection(held)
    try {
      if (!ConnectionHooks.#created.has(client)) await this.#create?.(hooked)
      ConnectionHooks.#created.add(client)
      if (this.#setsContext) await this.#setContext(hooked, em)
      await this.#reserve?.(hooked)
    } catch (error) {
      await held.release(true)
      throw error
    }
  }

  /** Runs the one for new connections, on a client of which everything was reset. */
  async create(connection: HookedConnection): Promise<void> {
    await this.#create?.(connection)
  }

  async #setContext(hooked: HookedConnection, em: SqlEntityManager): Promise<void> {
    for (const { sql, params } of this.#connection.buildConnectionSessionStatements(em.getSessionContext())) {
      await hooked.executeQuery({ sql, parameters: params })
    }
  }
}

/** As the hooks see a client. */
export function hookedConnection(held: PooledClient): HookedConnection {
  return {
    async executeQuery({ sql, parameters }) {
      const { rows } = resultOf(await held.query(sql, parameters))
      return { rows }
    },
  }
}

function hookOf({ options, config }: Internals, name: HookName): Hook | undefined {
  return options[name] ?? (config.get(name) as Hook | undefined)
}
