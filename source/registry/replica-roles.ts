import { isPostgres } from '../role/database-of.ts'
import type { ResolvedEngineOptions } from '../role/engine-options.ts'
import { ConfigurationError } from '../role/errors.ts'
import { rulesOf } from '../role/role-kinds.ts'

/** @throws ConfigurationError for a role that follows one which no replica can show */
export function assertFollowable(all: readonly ResolvedEngineOptions[]): void {
  for (const { role, replicaOf } of all) if (replicaOf !== undefined) assertFollowed(role, replicaOf.of, all)
}

function assertFollowed(role: string, of: string, all: readonly ResolvedEngineOptions[]): void {
  const followed = all.find((other) => other.role === of)
  const names = all.filter(({ kind }) => isFollowable(kind)).map((other) => `"${other.role}"`)
  const fix = names.length === 0 ? 'There is no role that writes in a transaction.' : `It can be ${names.join(', ')}.`
  if (followed === undefined || of === role) {
    throw new ConfigurationError(
      `The role "${role}" has replicaOf: "${of}", which is ${of === role ? 'itself' : 'no role'}. ${fix}`,
    )
  }
  if (!isFollowable(followed.kind)) {
    const why = rulesOf(followed.kind).writes ? `commits each statement alone` : `only reads`
    throw new ConfigurationError(`The role "${role}" has replicaOf: "${of}", which ${why}. ${fix}`)
  }
  if (!isPostgres(followed.orm.driver)) {
    throw new ConfigurationError(
      `The role "${role}" has replicaOf: "${of}", which is not on PostgreSQL and has no replicas.`,
    )
  }
}

function isFollowable(kind: ResolvedEngineOptions['kind']): boolean {
  return kind === 'joined' || kind === 'autonomous'
}

/** Warns of replicas that nobody checks. */
export function warnOfUncheckedReplicas(all: readonly ResolvedEngineOptions[]): void {
  for (const { role, kind, replicaOf, orm } of all) {
    const { length } = orm.config.get('replicas', []) as readonly unknown[]
    if (rulesOf(kind).writes || replicaOf !== undefined || length === 0) continue
    process.emitWarning(
      `The role "${role}" reads from ${length === 1 ? 'a replica' : `one of ${length} replicas, by chance,`} without replicaOf: it ` +
        `shows old states, also of what its request has just written, and fails with its replica. Say replicaOf: 'writer'.`,
      { code: 'SQLASSIST_UNCHECKED_REPLICAS' },
    )
  }
}
