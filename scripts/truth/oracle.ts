/**
 * What may be stored, by what the callers got. `stored` and `gone` are certain. The open cases are few:
 *
 * - `outcome unknown`: the error says that nobody knows, or that one resource failed when others had committed;
 * - `an autonomous role failed`: it fails the unit, whose transaction is committed; a `bestEffort` one only warns;
 * - `at the same time`: a write beside a rollback that ran at the same time, in no order;
 * - `flush failed`: what a failed flush left in memory of a role that commits on its own;
 * - `maybe marked`: raw SQL beside a write of which nobody knows whether it counts;
 * - `meanwhile`: what was assigned to an entity while a flush that nobody awaited was under way, or since its transaction
 *   ended;
 * - `ended by a statement`: what was in memory when one committed, and may have been flushed;
 * - `broken off`: a stream or a find that failed, whose statement may have run before;
 * - `as the unit ended`: what a forgotten branch only had in memory when its unit, or em.transactional(), was over;
 * - `never answered`: reported as a hang.
 */
import { joins } from './program.ts'
import type { End, Failure, SavepointRecord, Scope, Unit, Write } from './record.ts'

/** Writes of one group are all stored, or none. */
export type Fate =
  | { readonly is: 'stored' | 'gone' }
  | { readonly is: 'open'; readonly why: string; readonly group?: string }

const STORED: Fate = { is: 'stored' }
const GONE: Fate = { is: 'gone' }
const open = (why: string, group?: string): Fate => ({ is: 'open', why, ...(group !== undefined && { group }) })

export function fateOf(write: Write, all: readonly Write[]): Fate {
  const { unit, role } = write
  if (write.answer === 'refused') return write.mayBreakOff ? open('broken off') : GONE
  if (write.issued > unit.endAnswered) return GONE
  if (write.meanwhile || isAssignedLater(write)) return open('meanwhile')
  if (isLate(write)) return open('as the unit ended')
  const ended = endedByStatement(write)
  if (ended !== undefined) return ended
  const undone = undoneBy(write)
  if (undone !== undefined) return undone
  if (role.readOnly !== undefined) return ofReader(write)
  if (role.commit === 'autocommit') return ofAutocommit(write)
  const fate = ofEnds(write)
  if (write.answer === 'pending' && fate.is === 'stored') return open('never answered')
  if (!write.unmarked || fate.is === 'gone') return fate
  return fate.is === 'stored' ? ofUnmarked(write, all) : open('maybe marked')
}

/** By a statement that ended the transaction, with what was sent until then. */
function endedByStatement(write: Write): Fate | undefined {
  const end = endsFor(write).find(({ called }) => write.answered < called)
  if (end?.byStatement === undefined) return undefined
  const undone = undoneBy(write, end.called)
  if (undone !== undefined) return undone
  // A read, or the end of a nested transaction, may have flushed it.
  const isUnsure = write.buffered && !write.flushed && end.outcome !== 'aborted'
  return isUnsure ? open('ended by a statement') : byEnd(write, end)
}

/** By the rollback of a nested transaction or a savepoint, which was over before that. */
function undoneBy(write: Write, before = Infinity): Fate | undefined {
  const { unit, role } = write
  const isUndone = ({ outcome, answered, role: of }: Scope): boolean => {
    return outcome === 'rolled back' && of === role.name && (answered < before || before === Infinity)
  }
  for (const scope of write.scopes) {
    if (!isUndone(scope) || write.issued > scope.answered) continue
    if (scope.byHand === true && write.buffered && !write.flushed) return open('at the same time')
    return write.answered > scope.left && write.answered < Infinity ? open('at the same time') : GONE
  }
  for (const scope of unit.scopes) {
    if (isUndone(scope) && overlaps(write, scope.called, scope.answered)) return open('at the same time')
  }
  if (!joins(role)) return undefined
  for (const savepoint of unit.savepoints) {
    if (before < Infinity && savepoint.rolledBack > before) continue
    const fate = bySavepoint(write, savepoint)
    if (fate !== undefined) return fate
  }
  return undefined
}

function bySavepoint(
  write: Write,
  { called, answered, rollbackCalled, rolledBack }: SavepointRecord,
): Fate | undefined {
  if (rolledBack === Infinity) return undefined
  if (overlaps(write, called, answered) || overlaps(write, rollbackCalled, rolledBack)) return open('at the same time')
  return write.issued > answered && write.issued < rollbackCalled ? GONE : undefined
}

/** What is changed through a role that only reads has to fail the unit. */
function ofReader({ unit, shaky }: Write): Fate {
  if (shaky) return GONE
  const isAborted = unit.ends.some(({ outcome }) => outcome === 'aborted')
  return unit.finalEnd.outcome === 'committed' && !isAborted ? STORED : GONE
}

function ofAutocommit(write: Write): Fate {
  if (write.scopes.some(({ outcome }) => outcome === 'open')) return open('at the same time')
  if (!write.buffered) return write.answer === 'done' ? STORED : open('never answered')
  if (write.flushed) return STORED
  if (write.shaky) return open('flush failed')
  return write.unit.outcome === 'resolved' ? STORED : open('flush failed')
}

/** By the ends of its transaction: those that the program asked for, then that of the unit. */
function ofEnds(write: Write): Fate {
  let maybe: 'stored' | 'gone' | undefined
  const ends = endsFor(write)
  for (const end of ends) {
    if (write.issued > end.answered) continue
    const isLast = end.called === write.unit.endCalled
    if (!isLast && ends.slice(0, -1).some((other) => isOtherwiseBeside(end, other))) return open('at the same time')
    const fate = byEnd(write, end)
    if (isLast || write.answered < end.called) {
      if (maybe !== undefined && fate.is !== maybe) return open('at the same time')
      return fate
    }
    if (fate.is === 'open') return fate
    if (maybe !== undefined && maybe !== fate.is) return open('at the same time')
    maybe = fate.is
  }
  return GONE
}

/** em.rollback() beside txn.commit(), for instance: nobody said which comes first. */
function isOtherwiseBeside(end: End, other: End): boolean {
  return end.outcome !== other.outcome && other.called < end.answered && end.called < other.answered
}

function byEnd(write: Write, end: End): Fate {
  const outcome = end.except.get(write.role.name) ?? end.outcome
  if (outcome === 'committed') return write.shaky ? open('flush failed') : STORED
  if (outcome === 'aborted') return GONE
  // What a hook creates in an autonomous role may find a session of its own there.
  if (!write.byProgram && write.role.commit === 'autonomous') return open('outcome unknown')
  const group = end.except.size > 0 ? `${end.called} ${write.role.name}` : String(end.called)
  return open('outcome unknown', group)
}

/** The ends that concern a role, in their order; the last is that of the unit. */
export function endsFor({ role, unit }: Pick<Write, 'role' | 'unit'>): End[] {
  const own = unit.ends.filter(
    (end) => end.outcome !== 'refused' && (end.roles === role.name || (end.roles === 'joined' && joins(role))),
  )
  return [...own.filter((end) => end.outcome !== 'pending'), lastEnd(role, unit)]
}

function lastEnd(role: Write['role'], unit: Unit): End {
  const given = joins(role) ? unit.finalEnd : ofIndependent(role, unit)
  return { ...given, roles: role.name, called: unit.endCalled, answered: unit.endAnswered, transaction: undefined }
}

/** Whether a role's own commit may have failed, by what the program did. */
export function mayFail({ name }: Write['role'], unit: Unit): boolean {
  return (
    unit.poisoned.has(name) ||
    unit.fragile.has(name) ||
    unit.failures.some(({ role }) => role === name) ||
    unit.scopes.some(({ role, answered }) => role === name && answered > unit.endCalled)
  )
}

/** A role that commits when the unit ends, even if the rest aborts. */
function ofIndependent(role: Write['role'], unit: Unit): Pick<End, 'outcome' | 'except'> {
  const except: End['except'] = new Map()
  if (unit.outcome === 'again') return { outcome: 'aborted', except }
  if (unit.outcome === 'resolved' && role.bestEffort !== true) return { outcome: 'committed', except }
  if (role.bestEffort === true || mayFail(role, unit)) except.set(role.name, 'unknown')
  return { outcome: 'committed', except }
}

/** Raw SQL that nobody declared is stored with what else the session wrote, and rolled back where that is all. */
function ofUnmarked(write: Write, all: readonly Write[]): Fate {
  if (write.role.rawWrites !== undefined) return STORED
  const beside = all.filter((other) => other.unit === write.unit && other.role === write.role && !other.unmarked)
  const windows = endsFor(write)
  const isBesideAnEnd = (each: Write): boolean =>
    windows.some(({ called, answered }) => overlaps(each, called, answered))
  const end = windows.find(({ called }) => write.answered < called)
  const marks = beside.filter((other) => windows.find(({ called }) => other.answered < called) === end)
  const certain =
    !isBesideAnEnd(write) &&
    marks.some((other) => !isBesideAnEnd(other) && fateOf(other, []).is === 'stored' && other.answer === 'done')
  if (certain) return STORED
  return beside.length > 0 || write.unit.poisoned.has(write.role.name) ? open('maybe marked') : GONE
}

/** A failure that was not undone, in a transaction that was committed with something in it. */
export function swallowed(unit: Unit, all: readonly Write[]): Failure[] {
  return unit.failures.filter((failure) => {
    if (failure.scopes.some(({ outcome }) => outcome !== 'kept')) return false
    const isUndone = unit.savepoints.some(({ answered, rolledBack }) => {
      return rolledBack < Infinity && failure.at > answered && failure.issued < rolledBack
    })
    return !isUndone && all.some((write) => isCommittedWith(write, failure, unit, all))
  })
}

function isCommittedWith(write: Write, { role, issued, at }: Failure, unit: Unit, all: readonly Write[]): boolean {
  if (write.unit !== unit || (role !== undefined && write.role.name !== role)) return false
  if (write.role.readOnly !== undefined || write.role.commit === 'autocommit') return false
  if (role === undefined && !joins(write.role)) return false
  const ends = endsFor(write)
  const end = ends.find(({ called }) => at < called)
  const isBesideAnEnd = ({ called, answered }: End): boolean =>
    overlaps(write, called, answered) || overlaps({ issued, answered: at }, called, answered)
  const sameEnd = end !== undefined && ends.find(({ called }) => write.answered < called) === end
  if (
    !sameEnd ||
    end.byStatement !== undefined ||
    ends.some(isBesideAnEnd) ||
    end.outcome !== 'committed' ||
    end.except.has(write.role.name)
  )
    return false
  return fateOf(write, all).is === 'stored'
}

function isLate({ buffered, byProgram, flushed, issued, unit, scopes }: Write): boolean {
  const over = Math.min(unit.endCalled, ...scopes.map(({ left }) => left))
  return buffered && byProgram && !flushed && issued > over
}

/** Whether its entity is of a transaction that has ended, or begun to end, meanwhile: nobody can refuse an assignment. */
function isAssignedLater(write: Write): boolean {
  const { since, issued } = write
  return since < issued && endsFor(write).some(({ called, answered }) => called < issued && answered > since)
}

/** Whether a write was under way while something else was. */
export function overlaps({ issued, answered }: Pick<Write, 'issued' | 'answered'>, from: number, to: number): boolean {
  return issued < to && answered > from
}
