import type { SessionContext } from '@mikro-orm/core'
import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { CompiledQuery, QueryResult } from 'kysely'
import type { PoolClient } from 'pg'

/** As much of a Kysely connection as the hooks are given. */
interface HookedConnection {
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

/** Those that the hook for new connections has seen here. Kysely keeps account of its own. */
const created = new WeakSet<PoolClient>()

/**
 * Does to a client what MikroORM has Kysely do before it uses one: the hooks `onCreateConnection` and
 * `onReserveConnection`, and with `sessionContext: 'connection'` the variables and the role of row level security, those
 * of `em`. Undefined where there is nothing to be done.
 */
export function prepareClient(
  client: PoolClient,
  connection: AbstractSqlConnection,
  em: SqlEntityManager,
): Promise<void> | undefined {
  const create = created.has(client) ? undefined : hookOf(connection, 'onCreateConnection')
  const reserve = hookOf(connection, 'onReserveConnection')
  const { config } = connection as unknown as Internals
  const setContext = config.get('sessionContext') === 'connection' ? contextHook(connection, em) : undefined
  if (create === undefined && reserve === undefined && setContext === undefined) return undefined
  created.add(client)
  return runHooks(client, [create, setContext, reserve])
}

function contextHook(connection: AbstractSqlConnection, em: SqlEntityManager): Hook {
  return async (hooked) => {
    const statements = (connection as unknown as Internals).buildConnectionSessionStatements(em.getSessionContext())
    for (const { sql, params } of statements) await hooked.executeQuery({ sql, parameters: params })
  }
}

function hookOf(connection: AbstractSqlConnection, name: HookName): Hook | undefined {
  const { options, config } = connection as unknown as Internals
  return options[name] ?? (config.get(name) as Hook | undefined)
}

async function runHooks(client: PoolClient, hooks: readonly (Hook | undefined)[]): Promise<void> {
  const connection: HookedConnection = {
    async executeQuery({ sql, parameters }) {
      const { rows } = await client.query<object>(sql, parameters as unknown[])
      return { rows }
    },
  }
  try {
    for (const hook of hooks) await hook?.(connection)
  } catch (error) {
    created.delete(client)
    client.release(true)
    throw error
  }
}
