import { forgettingEnded, isNested } from '../session/nested-transactions.ts'
import { runInScope } from '../role/unit-scope.ts'
import { isInContext, leavingContexts } from '../role/mikro-orm-contexts.ts'
import type { UnitOfWork } from './unit-of-work.ts'

/** Runs `work` in the context of `unit` and in none from outside that would take its place. */
function runInUnit<T>(unit: UnitOfWork, work: () => T): T {
  if (!isInContext() && !isNested()) return runInScope(unit.scope, work)
  return leavingContexts(unit.scope.registry, () => forgettingEnded(() => runInScope(unit.scope, work)))
}

/** Does `work` in a unit of work, whose transaction it begins, and ends the unit: by a commit, or by an abort when it throws. */
export function inUnit<T>(unit: UnitOfWork, work: () => T | Promise<T>): Promise<T> {
  return runInUnit(unit, async () => {
    try {
      const beginning = unit.begin()
      if (beginning !== undefined) await beginning
      const result = await work()
      // The work may have ended it by itself.
      const committing = unit.ended ? undefined : unit.commit()
      if (committing !== undefined) await committing
      return result
    } catch (error) {
      if (!unit.ended) await unit.abortBecauseOf(error)
      throw unit.verdict(error)
    }
  })
}

export interface Attempts<T> {
  /** Makes the unit of an attempt, counted from 1. */
  readonly start: (attempt: number) => UnitOfWork
  readonly work: (unit: UnitOfWork) => T | Promise<T>
  /** Called between two attempts. */
  readonly again?: () => void
}

/** The same, and again in a new unit after an error worth retrying. */
export async function inUnits<T>({ start, work, again }: Attempts<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const unit = start(attempt)
    try {
      return await inUnit(unit, () => work(unit))
    } catch (error) {
      if (!unit.retries) throw error
    }
    again?.()
  }
}
