import type { ForkOptions, MikroORM } from '@mikro-orm/core'
import { isSqlite } from './database-of.ts'
import { ConfigurationError } from './errors.ts'
import { rulesOf, type RoleKind } from './role-kinds.ts'

/** Why sessions cannot have an option of `em.fork()`, by its name; undefined where they can. */
const OPTIONS: Readonly<Record<keyof ForkOptions, string | undefined>> = {
  clear: 'sessions would share the entities of the global entity manager',
  useContext: 'a session is what the context leads to, and would look for itself without end',
  disableTransactions: 'what a failed em.transactional() did could not be undone',
  freshEventManager: undefined,
  cloneEventManager: undefined,
  disableContextResolution: undefined,
  flushMode: undefined,
  keepTransactionContext: undefined,
  schema: undefined,
  session: undefined,
  loggerContext: undefined,
  signal: undefined,
  inflightQueryAbortStrategy: undefined,
}
/** The values with which the options that sessions cannot have do nothing. */
const WITHOUT_EFFECT: ForkOptions = { clear: true, useContext: false, disableTransactions: false }

/**
 * Checks and copies what a role gives as `fork`.
 * @throws ConfigurationError naming the role, the option and the fix
 */
export function resolveForkOptions(
  role: string,
  given: ForkOptions | undefined,
  kind: RoleKind,
  orm: MikroORM<any, any, any>,
): ForkOptions {
  if (given === undefined) return {}
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ConfigurationError(
      `The role "${role}" has a fork that is no object. Give options of em.fork(), or nothing.`,
    )
  }
  for (const name of Object.keys(given) as (keyof ForkOptions)[]) assertPossible(role, name, given[name])
  assertSessionContext(role, given, orm)
  assertAbortStrategy(role, given, kind, orm)
  return { ...given }
}

function assertPossible(role: string, name: keyof ForkOptions, value: unknown): void {
  if (!Object.hasOwn(OPTIONS, name)) {
    throw new ConfigurationError(
      `The role "${role}" has a fork with an option "${name}", which em.fork() does not have. ` +
        `The options are ${Object.keys(OPTIONS).join(', ')}.`,
    )
  }
  const reason = OPTIONS[name]
  if (reason === undefined || value === undefined || value === WITHOUT_EFFECT[name]) return
  throw new ConfigurationError(
    `The role "${role}" has fork: { ${name}: ${JSON.stringify(value)} }, which sessions cannot have: ${reason}. Leave it out.`,
  )
}

function assertSessionContext(role: string, { session }: ForkOptions, orm: MikroORM<any, any, any>): void {
  if (session === undefined || !isSqlite(orm.driver)) return
  throw new ConfigurationError(
    `The role "${role}" has fork: { session } (row level security), which is for PostgreSQL. Leave it out.`,
  )
}

function assertAbortStrategy(
  role: string,
  { inflightQueryAbortStrategy: strategy }: ForkOptions,
  kind: RoleKind,
  orm: MikroORM<any, any, any>,
): void {
  // MikroORM sends the statements of a role that commits each of them.
  const isMikroOrms = rulesOf(kind).commits === 'at once'
  const isPossible = isMikroOrms ? strategy === 'ignore query' || !isSqlite(orm.driver) : strategy !== 'kill session'
  if (strategy === undefined || isPossible) return
  throw new ConfigurationError(
    `The role "${role}" has fork: { inflightQueryAbortStrategy: '${strategy}' }, which its database connection does not have. ` +
      `Use ${isMikroOrms ? '' : `'cancel query' or `}'ignore query'.`,
  )
}
