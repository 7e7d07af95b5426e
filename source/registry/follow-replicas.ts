import { replicaStateChannel, type ReplicaStateMessage } from '../database/replica-channels.ts'
import type { ClusterIdentity, ReplicaReport } from '../database/replicas.ts'
import type { Engine } from '../role/engine.ts'
import { ConfigurationError } from '../role/errors.ts'

/** The most often that is warned of one replica. */
const WARN_EVERY_MS = 10_000

/**
 * Has each role with `replicaOf` read from its replicas, and the role that it names report where its commits are. Returns the
 * longest `maxLagMs`; 0 where there is no such role.
 */
export function followReplicas(registry: object, engines: ReadonlyMap<string, Engine>): number {
  let longestLagMs = 0
  for (const engine of engines.values()) {
    const { replicaOf: rules } = engine.options
    const followed = rules && engines.get(rules.of)
    if (followed === undefined || rules === undefined) continue
    longestLagMs = Math.max(longestLagMs, rules.maxLagMs)
    const warnOf = warning(engine.role)
    const heard = engine.database.replication?.follow({
      rules,
      assertSameDatabase: () => assertSameDatabase(engine, followed),
      changed(replica) {
        warnOf(replica)
        if (!replicaStateChannel.hasSubscribers) return
        replicaStateChannel.publish({ ...replica, registry, role: engine.role } satisfies ReplicaStateMessage)
      },
    })
    if (heard !== undefined) followed.database.replication?.reportCommits(heard)
  }
  return longestLagMs
}

/** Whether they could be compared: a database that cannot be asked yet is asked again. @throws ConfigurationError */
async function assertSameDatabase(engine: Engine, followed: Engine): Promise<boolean> {
  let own: ClusterIdentity | undefined
  let of: ClusterIdentity | undefined
  try {
    own = await engine.database.replication?.identity()
    of = await followed.database.replication?.identity()
  } catch {
    return false
  }
  // Where the user may not ask, nothing can be compared.
  if (own === undefined || of === undefined) return true
  const wrong = own.isInRecovery
    ? 'its primary is a standby itself'
    : `its primary is another database: ${own.database} instead of ${of.database} (system identifier and name)`
  if (own.isInRecovery || own.database !== of.database) {
    throw new ConfigurationError(
      `The role "${engine.role}" has replicaOf: "${followed.role}", but ${wrong}. ` +
        `Give its MikroORM instance the host and dbName of that role, and the replicas beside them.`,
    )
  }
  return true
}

function warning(role: string): (replica: ReplicaReport) => void {
  const warned = new Map<string, number>()
  return ({ replica, state, reason, lagMs }) => {
    const now = performance.now()
    if (now - (warned.get(replica) ?? -Infinity) < WARN_EVERY_MS) return
    warned.set(replica, now)
    const what = state === 'up' ? 'is in use again' : `is ${state} and not used: ${reason}`
    const lag = lagMs === undefined ? '' : `, ${Math.round(lagMs)} ms behind`
    process.emitWarning(`The replica ${replica} of role "${role}" ${what}${lag}.`, { code: 'SQLASSIST_REPLICA' })
  }
}
