/** Compares what is stored with what may be. */
import { isDeepStrictEqual } from 'node:util'
import { outcomeOf } from './end-outcome.ts'
import { shown } from './errors.ts'
import { judgeReaders, judgeViews } from './judge-readers.ts'
import { fateOf, mayFail, swallowed, type Fate } from './oracle.ts'
import { joins, type Slot } from './program.ts'
import type { Cell, End, Journal, Unit, Value, Write } from './record.ts'

export function judge(journal: Journal, stored: ReadonlyMap<Cell, Value>): void {
  for (const unit of journal.units) unit.finalEnd = finalEnd(unit)
  const fates = new Map(journal.writes.map((write) => [write, fateOf(write, journal.writes)] as const))
  judgeCells(journal, fates, stored)
  judgeGroups(journal, fates, stored)
  for (const write of journal.writes) judgeAnswer(journal, write)
  judgeReaders(journal, stored)
  judgeViews(journal, fates)
  for (const unit of journal.units) judgeUnit(journal, fates, unit)
}

/** The end of the unit, for the roles that join. */
function finalEnd(unit: Unit): Unit['finalEnd'] {
  const except: Unit['finalEnd']['except'] = new Map()
  if (unit.outcome === 'again' || unit.left) return { outcome: 'aborted', except }
  if (unit.outcome === 'resolved') return { outcome: unit.doomed || unit.vetoed ? 'aborted' : 'committed', except }
  if (unit.threw !== undefined || unit.doomed || unit.vetoed) return { outcome: 'aborted', except }
  const given = outcomeOf(unit.error, unit)
  const autonomous = [...unit.roles.values()].filter(({ commit }) => commit !== undefined)
  const theyFailed = autonomous.some((role) => mayFail(role, unit))
  if (given.outcome !== 'unknown' && theyFailed) return { outcome: 'unknown', except }
  return given.outcome === 'refused' ? { outcome: 'aborted', except } : given
}

/** Goes through the writes of each row in their order; each adds to what may be there, or decides it. */
function judgeCells(journal: Journal, fates: ReadonlyMap<Write, Fate>, stored: ReadonlyMap<Cell, Value>): void {
  const byCell = Map.groupBy(journal.writes, ({ cell }) => cell)
  for (const [cell, writes] of byCell) {
    let may: Value[] = [cell.includes(' note ') && !cell.includes(' note up-') ? 'first' : undefined]
    const inOrder = writes.toSorted((one, other) => one.issued - other.issued)
    for (const [index, write] of inOrder.entries()) {
      const { is } = fates.get(write)!
      // What was sent only meanwhile may have come last.
      const beside = inOrder.slice(0, index).filter((other) => {
        return other.answered > write.issued && fates.get(other)!.is !== 'gone' && other.scopes !== write.scopes
      })
      if (is === 'stored') may = [write.value, ...beside.map(({ value }) => value)]
      if (is === 'open') may = [...may, write.value]
    }
    const found = stored.get(cell)
    if (!may.some((value) => isDeepStrictEqual(value, found))) {
      journal.lie(kindOf(writes, fates, found), describe(cell, writes, fates, found, may))
    }
  }
}

function kindOf(writes: readonly Write[], fates: ReadonlyMap<Write, Fate>, found: Value): string {
  const culprit = writes.find(({ value }) => isDeepStrictEqual(value, found))
  if (typeof found === 'number' && found > 1) return 'stored twice'
  if (culprit === undefined || fates.get(culprit)!.is !== 'gone') return 'committed but missing'
  if (culprit.answer === 'refused') return 'refused but stored'
  if (culprit.issued > culprit.unit.endAnswered) return 'stored after the end'
  if (culprit.scopes.some(({ outcome }) => outcome === 'rolled back')) return 'rolled back but stored'
  if (culprit.unit.outcome === 'again') return 'of an earlier attempt'
  return 'aborted but stored'
}

function describe(
  cell: Cell,
  writes: readonly Write[],
  fates: ReadonlyMap<Write, Fate>,
  found: Value,
  may: readonly Value[],
): string {
  const told = writes.map((write) => {
    const fate = fates.get(write)!
    return `${write.name} ${write.answer}, ${fate.is}${fate.is === 'open' ? ` (${fate.why})` : ''}`
  })
  return `${cell}: ${shownValue(found)} is stored, not ${may.map(shownValue).join(' or ')}; ${told.join('; ')}`
}

function shownValue(value: Value): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}

/** All or nothing, where nobody can know which. */
function judgeGroups(journal: Journal, fates: ReadonlyMap<Write, Fate>, stored: ReadonlyMap<Cell, Value>): void {
  const open = journal.writes.filter((write) => {
    const fate = fates.get(write)!
    const isOnlyOne = journal.writes.every((other) => other === write || other.cell !== write.cell)
    return fate.is === 'open' && fate.group !== undefined && isOnlyOne
  })
  const groups = Map.groupBy(open, (write) => {
    const fate = fates.get(write)!
    return `${journal.units.indexOf(write.unit)} ${fate.is === 'open' ? fate.group : ''}`
  })
  for (const writes of groups.values()) {
    const there = writes.map(({ cell, value }) => isDeepStrictEqual(stored.get(cell), value))
    if (new Set(there).size < 2) continue
    const list = writes.map(({ name, role }, index) => `${name} in ${role.name} ${there[index] ? 'stored' : 'missing'}`)
    journal.lie('half a commit', list.join(', '))
  }
}

function judgeAnswer(journal: Journal, write: Write): void {
  // Nobody refuses an assignment.
  const isAssignment = write.buffered && !write.flushed && typeof write.value === 'string'
  if (write.answer === 'done' && write.issued > write.unit.endAnswered && !isAssignment) {
    journal.lie('done after the end', `${write.name} in ${write.role.name} was answered as done when its unit was over`)
  }
}

function judgeUnit(journal: Journal, fates: ReadonlyMap<Write, Fate>, unit: Unit): void {
  if (unit.outcome === 'resolved' && unit.threw !== undefined) {
    journal.lie('error lost', `the program threw ${shown(unit.threw)}, and its caller was told that all is well`)
  }
  if (unit.outcome === 'resolved') for (const each of unit.stuck) journal.lie('entity stuck', each)
  const ended = unit.ends.find((end) => end.byStatement !== undefined && isLastOf(end, unit))
  if (ended !== undefined && unit.outcome === 'resolved' && !unit.doomed && !unit.vetoed && !unit.left) {
    journal.lie('ended and resolved', `a statement ended the transaction of ${ended.roles}, and the unit is done`)
  }
  const kept = journal.writes.find((write) => {
    return write.unit === unit && write.role.commit !== 'autocommit' && fates.get(write)!.is === 'stored'
  })
  if (unit.outcome === 'again' && kept !== undefined) {
    journal.lie('again after a commit', `${kept.name} was committed, and there was another attempt`)
  }
  for (const failure of swallowed(unit, journal.writes)) {
    journal.lie('failure swallowed', `${failure.role ?? 'a role'}: ${failure.what}; and the unit is committed`)
  }
  for (const hook of unit.hooks) if (hook.when === 'afterCommit') judgeHook(journal, unit, hook)
}

/** Whether what a statement ended was the last transaction of a joined role. */
function isLastOf(end: End, unit: Unit): boolean {
  const role = unit.roles.get(end.roles as Slot)!
  const mayGoOn = unit.ends.some((other) => {
    return other !== end && other.answered > end.byStatement! && (other.roles === 'joined' || other.roles === role.name)
  })
  return joins(role) && !mayGoOn
}

function judgeHook(journal: Journal, unit: Unit, { transaction, calls }: Unit['hooks'][number]): void {
  const ends = unit.ends.filter((end) => end.transaction === transaction && end.outcome !== 'refused')
  const isLast = ends.length === 0 || (unit.endTransaction === transaction && ends.at(-1)!.outcome !== 'committed')
  const outcomes = [...ends.map(({ outcome }) => outcome), ...(isLast ? [unit.finalEnd.outcome] : [])]
  // Where no session is open nobody looks for the client, and nothing is committed.
  if (outcomes.includes('unknown') || outcomes.includes('pending') || unit.left) return
  const committed = outcomes.includes('committed')
  if (calls.length > 1) journal.lie('hook', `an afterCommit hook was called ${calls.length} times`)
  if (calls[0] === true && !committed) journal.lie('hook', 'afterCommit(true), and it is not committed')
  if (calls[0] === false && committed) journal.lie('hook', 'afterCommit(false), and it is committed')
  if (committed && calls.length === 0) journal.lie('hook', 'it is committed, and afterCommit was not called')
}
