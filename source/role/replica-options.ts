import type { MikroORM } from '@mikro-orm/core'
import { isPostgres } from './database-of.ts'
import type { ReplicaRules } from '../database/replicas.ts'
import { ConfigurationError } from './errors.ts'

/** How a role reads from replicas; see `replicaOf` of the role's options. */
export interface ReplicaOptions {
  /** The role whose databases' copies the ORM's `replicas` are. */
  readonly role: string
  /** How old a state may be that a statement shows, and how long a client's position counts, in milliseconds. Default 10000. */
  readonly maxLagMs?: number | undefined
  /** How long a statement waits for a replica before it goes to the primary, in milliseconds. Default 100. */
  readonly waitMs?: number | undefined
  /** Where a statement goes that no replica can answer. `'error'` throws NoReplicaError. Default `'primary'`. */
  readonly otherwise?: 'primary' | 'error' | undefined
}

/** `replicaOf`: the name of a role, or options. */
export type ReplicaOf = string | ReplicaOptions

const OPTIONS = ['role', 'maxLagMs', 'waitMs', 'otherwise'] as const

/** The options of a role that go together. */
interface Given {
  readonly orm: MikroORM<any, any, any>
  readonly readOnly?: unknown
  readonly isolationLevel?: unknown
  readonly replicaOf?: ReplicaOf | undefined
}

/** Checks the option `replicaOf` of one role, and fills in its defaults. @throws ConfigurationError */
export function resolveReplicaOf(role: string, options: Given): ReplicaRules | undefined {
  const { replicaOf } = options
  if (replicaOf === undefined) return undefined
  const given: ReplicaOptions = typeof replicaOf === 'string' ? { role: replicaOf } : replicaOf
  assertReplicaOptions(role, given)
  if (options.readOnly !== true && options.readOnly !== 'snapshot') {
    throw new ConfigurationError(
      `The role "${role}" has replicaOf and may write, which no replica takes. Give it readOnly: true or readOnly: 'snapshot'.`,
    )
  }
  if (options.isolationLevel === 'serializable') {
    throw new ConfigurationError(
      `The role "${role}" has replicaOf and isolationLevel: 'serializable', which replicas of PostgreSQL do not have. ` +
        `Leave the isolationLevel out.`,
    )
  }
  if (!isPostgres(options.orm.driver)) {
    throw new ConfigurationError(
      `The role "${role}" has replicaOf, which is for PostgreSQL. On SQLite each new transaction shows the last commit already: ` +
        `leave it out.`,
    )
  }
  const { maxLagMs = 10_000, waitMs = 100, otherwise = 'primary' } = given
  return { of: given.role, maxLagMs, waitMs, otherwise }
}

function assertReplicaOptions(role: string, given: ReplicaOptions): void {
  if (typeof given !== 'object' || given === null) {
    throw new ConfigurationError(
      `The role "${role}" has a replicaOf that is ${given === null ? 'null' : `a ${typeof given}`}. ` +
        `Give the name of the writing role: replicaOf: 'writer', or { role: 'writer', maxLagMs, waitMs, otherwise }.`,
    )
  }
  for (const name of Object.keys(given)) {
    if ((OPTIONS as readonly string[]).includes(name)) continue
    throw new ConfigurationError(
      `The role "${role}" has an option "${name}" in replicaOf, which does not exist. The options are ${OPTIONS.join(', ')}.`,
    )
  }
  if (typeof given.role !== 'string') {
    throw new ConfigurationError(
      `The role "${role}" has a replicaOf without a role. Name the writing role: { role: 'writer' }.`,
    )
  }
  assertMilliseconds(role, 'maxLagMs', given.maxLagMs, 1000, 3_600_000)
  assertMilliseconds(role, 'waitMs', given.waitMs, 0, 60_000)
  if (given.otherwise !== undefined && given.otherwise !== 'primary' && given.otherwise !== 'error') {
    throw new ConfigurationError(
      `The role "${role}" has replicaOf.otherwise: ${JSON.stringify(given.otherwise)}. It can be "primary" or "error".`,
    )
  }
}

function assertMilliseconds(role: string, name: string, found: unknown, lowest: number, highest: number): void {
  if (found === undefined || (typeof found === 'number' && found >= lowest && found <= highest)) return
  throw new ConfigurationError(
    `The role "${role}" has replicaOf.${name}: ${JSON.stringify(found)}. ` +
      `It can be a number of milliseconds from ${lowest} to ${highest}.`,
  )
}
