/** Steps that end transactions. */
import { joins, type EndStep, type Slot } from './program.ts'
import { outcomeOf } from './end-outcome.ts'
import { hasCode } from './errors.ts'
import type { End } from './record.ts'
import type { Stage } from './stage.ts'

export async function performEnd(stage: Stage, step: EndStep): Promise<void> {
  const { context, unit } = stage
  switch (step.do) {
    case 'commit':
      return await end(stage, 'joined', 'committed', () => context.txn.commit())
    case 'abort':
      await end(stage, 'joined', 'aborted', () => context.txn.abort())
      return forgetEntities(stage)
    case 'begin':
      await context.tm.begin()
      unit.doomed = false
      return
    case 'commit role': {
      const { em } = stage.level(step.role)
      return await end(stage, step.role, 'committed', () => em.commit())
    }
    case 'roll back role': {
      const { em } = stage.level(step.role)
      await end(stage, step.role, 'aborted', () => em.rollback())
      stage.level(step.role).entities.clear()
      return
    }
  }
}

/** An end that the program itself asks for. */
async function end(
  stage: Stage,
  roles: End['roles'],
  wanted: 'committed' | 'aborted',
  work: () => Promise<void>,
): Promise<void> {
  const { unit } = stage
  unit.usedTransaction ||= roles === 'joined'
  const transaction = roles === 'joined' ? stage.context.txn : undefined
  const record: End = {
    called: stage.now(),
    roles,
    transaction,
    answered: Infinity,
    outcome: 'pending',
    except: new Map(),
  }
  unit.ends.push(record)
  const levels = rolesOf(stage, roles).map((slot) => unit.base.get(slot))
  const pending = levels.map((level) => [...(level?.pending ?? [])])
  try {
    await work()
    record.outcome = wanted
    levels.forEach((level, index) => level && stage.sent(level, pending[index]!))
  } catch (error) {
    Object.assign(record, outcomeOf(error, unit))
    // Whether its own commit, refused inside a nested transaction, gives the rest up is not said.
    if (roles !== 'joined' && hasCode(error, 'SQLASSIST_NESTED_TRANSACTION_OPEN')) record.outcome = 'unknown'
    throw error
  } finally {
    record.answered = stage.now()
  }
}

function rolesOf({ unit }: Stage, roles: End['roles']): Slot[] {
  return [...unit.roles.values()]
    .filter((role) => role.name === roles || (roles === 'joined' && joins(role)))
    .map(({ name }) => name)
}

/** What a kept session still has in memory is looked at only when it was loaded again. */
function forgetEntities({ unit }: Stage): void {
  for (const level of unit.base.values()) level.entities.clear()
}
