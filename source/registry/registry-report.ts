import type { PoolReport } from '../database/pool-report.ts'
import type { Fallbacks, ReplicaReport } from '../database/replicas.ts'
import type { Engine } from '../role/engine.ts'
import type { ResolvedEngineOptions } from '../role/engine-options.ts'
import { GLOBAL_ID_PREFIX } from '../database/prepared.ts'
import { parseGlobalId } from '../atomic/global-id.ts'

/** A role of a registry: its options with the defaults filled in, and its pool as it is now. */
export interface RoleReport extends Omit<ResolvedEngineOptions, 'kind' | 'orm' | 'fork' | 'isDefault'> {
  /** Whether `.default` names it. */
  readonly default: boolean
  /** Which kind of database it is. */
  readonly dialect: 'postgresql' | 'sqlite'
  /** The name of the database or file. */
  readonly database: string
  /** Undefined before it is connected, and on SQLite, which has one connection. */
  readonly pool: PoolReport | undefined
  /** The replicas that it reads from; empty without `replicaOf`. */
  readonly replicas: readonly ReplicaReport[]
  /** How many of its statements went to the primary, by why. */
  readonly fallbacks: Fallbacks
}

/** A registry as it is now. */
export interface RegistryReport {
  /** How many requests and runs are under way. */
  readonly unitsUnderWay: number
  /** Whether units of work commit session by session. */
  readonly disablesTransactions: boolean
  /** Each role, in the order of the engines. */
  readonly roles: readonly RoleReport[]
}

/** The transactions that are prepared in one role's database and wait for their end. */
export interface PreparedReport {
  /** The role whose database was asked. */
  readonly role: string
  /** Oldest first. */
  readonly prepared: readonly { readonly id: string; readonly ageMs: number }[]
  /** Why the database could not be asked, if so. */
  readonly error: unknown
}

/** @internal */
export async function reportOfRole(engine: Engine, defaultRole: string | undefined): Promise<RoleReport> {
  const { orm, kind: _kind, fork: _fork, isDefault: _isDefault, ...options } = engine.options
  return {
    ...options,
    default: engine.role === defaultRole,
    dialect: engine.dialect,
    database: String(orm.config.get('dbName')),
    pool: await engine.pool(),
    replicas: engine.database.replication?.report() ?? [],
    fallbacks: { ...engine.database.replication?.fallbacks },
  }
}

/** The transactions that `application` has prepared. Two roles of one database show the same. @internal */
export async function reportOfPrepared(engines: readonly Engine[], application: string): Promise<PreparedReport[]> {
  const able = engines.filter(({ database }) => database.prepared !== undefined)
  return await Promise.all(able.map((engine) => preparedIn(engine, application)))
}

async function preparedIn(engine: Engine, application: string): Promise<PreparedReport> {
  const { role } = engine
  try {
    const { rows } = await engine.surveyPrepared(GLOBAL_ID_PREFIX)
    const own = rows.filter(({ gid }) => parseGlobalId(gid)?.application === application)
    return { role, prepared: own.map(({ gid, ageMs }) => ({ id: gid, ageMs })), error: undefined }
  } catch (error) {
    return { role, prepared: [], error }
  }
}
