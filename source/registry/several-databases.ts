import type { CommitPlanner } from '../atomic/commit-planner.ts'
import type { RecoverySchedule } from '../atomic/recovery-schedule.ts'
import type { Engine } from '../role/engine.ts'
import { innermostScope } from '../role/unit-scope.ts'
import type { MaybeLater } from '../transaction/maybe-later.ts'
import { assertRoleLength } from './resolve-engines.ts'

/**
 * Where several databases can change together: warns of those that cannot prepare, and starts recovery.
 * @throws ConfigurationError for a role whose name is too long for the ids of prepared transactions
 */
export function prepareForSeveral(
  joining: readonly Engine[],
  planner: CommitPlanner,
  recovery: RecoverySchedule,
): MaybeLater {
  if (joining.length < 2) return undefined
  // A database that cannot be asked yet is asked when it is needed.
  const advised = planner.advise().catch(() => undefined)
  if (!joining.some(({ mayPrepare }) => mayPrepare)) return advised
  for (const { role, database } of joining) {
    assertRoleLength(role)
    database.mayDecide()
  }
  return advised.then(() => recovery.start())
}

/** Why recovery of a role would wait for itself here: the unit of the running code holds the only connection. */
export function obstacleToRecovery(registry: object, { role, dialect }: Engine): string | undefined {
  if (dialect !== 'sqlite') return undefined
  const unit = innermostScope((scope) => scope.registry === registry)?.unit
  const isHeld = unit?.isOpen === true && unit.holdsConnection(role)
  return isHeld ? 'the unit of work that asks for recovery holds its only connection' : undefined
}
