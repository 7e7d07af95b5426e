import { forgettingEnded, isNested } from '../session/nested-transactions.ts'
import { runInScope } from '../role/unit-scope.ts'
import { inContextOfSessions } from '../role/mikro-orm-contexts.ts'
import { NotRetriedError } from './errors.ts'
import type { UnitOfWork } from './unit-of-work.ts'

/** Stands for the result of work that is to be attempted again. */
class Again {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

export interface Attempts<T> {
  /** Makes the unit of an attempt, counted from 1. */
  readonly start: (attempt: number) => UnitOfWork
  readonly work: (unit: UnitOfWork) => T | Promise<T>
  /** Called between two attempts, with the error of the first. */
  readonly again?: (error: unknown) => void
}

/** Does `work` in a unit of work, and after an error that is worth a retry again in the next. */
export async function runAttempts<T>({ start, work, again }: Attempts<T>): Promise<T> {
  let before: Again | undefined
  for (let attempt = 1; ; attempt++) {
    const unit = begun(() => start(attempt), before)
    const result = await tryInUnit(unit, () => work(unit))
    if (!(result instanceof Again)) return result
    before = result
    again?.(result.error)
  }
}

/** @throws what kept the unit from being started; with an attempt before it, NotRetriedError with the error of that */
function begun(start: () => UnitOfWork, before: Again | undefined): UnitOfWork {
  try {
    return start()
  } catch (error) {
    if (before === undefined) throw error
    throw new NotRetriedError(
      `another attempt could not begin: ${(error as Error).message.replace(/\.$/, '')}`,
      before.error,
    )
  }
}

/** Does `work` in a unit of work that has no other attempt. Throws the error that ended the unit. */
export function runInUnit<T>(unit: UnitOfWork, work: () => T | Promise<T>): Promise<T> {
  return tryInUnit(unit, work) as Promise<T>
}

/** Begins the transaction of `unit`, does `work`, and ends the unit: by a commit, or by an abort after an error. */
function tryInUnit<T>(unit: UnitOfWork, work: () => T | Promise<T>): Promise<T | Again> {
  return inContextOf(unit, async () => {
    try {
      const beginning = unit.begin()
      if (beginning !== undefined) await beginning
      const result = await work()
      // The work may have ended the unit itself.
      const committing = unit.ended ? undefined : unit.commit()
      if (committing !== undefined) await committing
      return result
    } catch (error) {
      const ended = await unit.abortBecauseOf(error)
      if (ended.again) return new Again(error)
      throw ended.error
    }
  })
}

/** Runs `work` in the context of `unit`, and outside of contexts that would take its place. */
function inContextOf<T>(unit: UnitOfWork, work: () => T): T {
  const { scope } = unit
  const inScope = isNested() ? () => forgettingEnded(() => runInScope(scope, work)) : () => runInScope(scope, work)
  return inContextOfSessions(scope.registry, inScope)
}
