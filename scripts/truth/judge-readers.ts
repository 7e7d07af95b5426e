/** Judges those that only read: what they wrote all the same, and what they saw of others. */
import { isDeepStrictEqual } from 'node:util'
import { endsFor, type Fate } from './oracle.ts'
import type { Cell, Journal, Value, View, Write } from './record.ts'

export function judgeReaders(journal: Journal, stored: ReadonlyMap<Cell, Value>): void {
  for (const write of journal.writes.filter(isByReader)) {
    const where = `${write.name} in ${write.role.name}`
    if (write.answer === 'done' && !write.buffered) journal.lie('accepted by a reader', `${where} was answered as done`)
    const isItsOwn = write.value !== undefined && isDeepStrictEqual(stored.get(write.cell), write.value)
    if (isItsOwn) journal.lie('written by a reader', `${where}: ${write.cell} is stored`)
  }
}

/** Whether its role, or the transaction that it was in, was only to read. */
function isByReader({ role, scopes, issued }: Write): boolean {
  return (
    role.readOnly !== undefined ||
    scopes.some((scope) => scope.reads && scope.role === role.name && issued < scope.left)
  )
}

export function judgeViews(journal: Journal, fates: ReadonlyMap<Write, Fate>): void {
  const facts = Map.groupBy(
    journal.writes.filter(({ value }) => value === 1),
    ({ cell }) => cell,
  )
  for (const view of journal.views) {
    if (view.role.readOnly === undefined) continue
    for (const [cell, writes] of facts) judgeSeen(journal, view, cell, writes, fates)
    judgeSnapshot(journal, view)
  }
}

function judgeSeen(
  journal: Journal,
  view: View,
  cell: Cell,
  writes: readonly Write[],
  fates: ReadonlyMap<Write, Fate>,
): void {
  const isSeen = view.cells.has(cell)
  const mayBe = writes.some((write) => mayBeCommitted(write, view, fates.get(write)!))
  if (isSeen && !mayBe) journal.lie('seen too early', `${view.role.name} saw ${cell}, which nobody had committed`)
  const isThere = cell.startsWith(`${view.database} fact `)
  if (isSeen || !isThere || view.role.readOnly === 'snapshot') return
  const missing = writes.find((write) => isCommittedBefore(write, view, fates.get(write)!))
  if (missing !== undefined) journal.lie('not seen', `${view.role.name} did not see ${cell}, which was committed`)
}

function mayBeCommitted(write: Write, view: View, fate: Fate): boolean {
  if (fate.is === 'gone') return false
  if (write.role.commit === 'autocommit') return write.scopes.every(({ left }) => left < view.answered)
  return endsFor(write).some(({ called }) => called < view.answered)
}

/** By an end that the program awaited before it read. */
function isCommittedBefore(write: Write, view: View, fate: Fate): boolean {
  if (fate.is !== 'stored' || write.answer !== 'done') return false
  const end = endsFor(write).find(({ called }) => write.answered < called)
  return end !== undefined && end.outcome === 'committed' && end.except.size === 0 && end.answered < view.issued
}

/** In one transaction a snapshot stays the same. */
function judgeSnapshot(journal: Journal, view: View): void {
  if (view.role.readOnly !== 'snapshot') return
  const before = journal.views.findLast((other) => {
    const isSame = other.unit === view.unit && other.role === view.role && other.answered < view.issued
    return isSame && view.unit.ends.every(({ called }) => called < other.issued || called > view.answered)
  })
  if (before === undefined || before.cells.symmetricDifference(view.cells).size === 0) return
  journal.lie('snapshot changed', `${view.role.name} saw other facts than before`)
}
