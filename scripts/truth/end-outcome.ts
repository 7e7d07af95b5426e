import { PartialCommitError } from '../../source/index.ts'
import { codeOf, hasCode } from './errors.ts'
import { joins, type Slot } from './program.ts'
import type { End, Unit } from './record.ts'

/** Errors of a call that had no effect. */
const REFUSALS = new Set([
  'SQLASSIST_CONCURRENT_CALL',
  'SQLASSIST_COMMIT_STATUS',
  'SQLASSIST_NO_TRANSACTION',
  'SQLASSIST_TRANSACTION_ENDED',
  'SQLASSIST_UNIT_OF_WORK_ENDED',
  'SQLASSIST_SESSION_ENDED',
  'SQLASSIST_MANAGED_SESSION',
  'SQLASSIST_TRANSACTION_DOOMED',
])

type Outcome = Pick<End, 'outcome' | 'except'>

/** What a commit or an abort that was answered with this error has done, as the contract says. */
export function outcomeOf(error: unknown, unit: Unit): Outcome {
  const except: End['except'] = new Map()
  if (error instanceof PartialCommitError) {
    for (const role of unit.roles.values()) if (joins(role)) except.set(role.name, 'unknown')
    for (const role of error.committed) except.set(role as Slot, 'committed')
    for (const role of error.rolledBack)
      except.set(role as Slot, error.committed.includes(role) ? 'unknown' : 'aborted')
    return { outcome: 'unknown', except }
  }
  if (hasCode(error, 'SQLASSIST_COMMIT_OUTCOME_UNKNOWN') || unit.lateResource) return { outcome: 'unknown', except }
  if (unit.poisoned.size > 0 && severalThatCannotPrepare(unit)) return { outcome: 'unknown', except: apart(unit) }
  return { outcome: REFUSALS.has(codeOf(error)) ? 'refused' : 'aborted', except }
}

/** Two SQLite files are committed one after the other, and the library warns of it. */
function severalThatCannotPrepare({ roles }: Unit): boolean {
  return [...roles.values()].filter((role) => joins(role) && role.dialect === 'sqlite').length > 1
}

function apart({ roles }: Unit): End['except'] {
  return new Map([...roles.values()].filter(joins).map(({ name }) => [name, 'unknown'] as const))
}
