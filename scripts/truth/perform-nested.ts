/** Nested transactions, savepoints and runs. */
import { Deliberate, hasCode } from './errors.ts'
import { assertGiven } from './perform-asked.ts'
import { otherDatabase } from './lane.ts'
import { joins, type Step, type StepOf } from './program.ts'
import { Unit, type Level, type SavepointRecord, type Scope } from './record.ts'
import { Stage } from './stage.ts'
import { endUnit } from './end-unit.ts'

type PerformAll = (stage: Stage, steps: readonly Step[]) => Promise<void>

export async function performScope(stage: Stage, step: StepOf<'scope'>, performAll: PerformAll): Promise<void> {
  const outer = stage.level(step.role)
  const { asks } = step
  const reads = asks?.readOnly === true
  const scope: Scope = {
    role: step.role,
    called: stage.now(),
    left: Infinity,
    answered: Infinity,
    outcome: 'open',
    reads,
  }
  stage.unit.scopes.push(scope)
  const sent = [...outer.pending]
  let entered = false
  try {
    await outer.em.transactional(async (em) => {
      entered = true
      // MikroORM's own transaction takes what is pending along, and flushes it at its end.
      if (stage.role(step.role).commit !== 'autocommit') stage.sent(outer, sent)
      const level: Level = { em, pending: [], busy: 0, entities: new Map() }
      try {
        const inner = stage.nested(scope, level)
        if (asks !== undefined) await assertGiven(inner, step.role, asks)
        await performAll(inner, step.steps)
      } finally {
        scope.left = stage.now()
      }
      if (step.throws) throw new Deliberate(`step ${step.id}`)
    }, asks)
    scope.outcome = 'kept'
  } catch (error) {
    scope.outcome = 'rolled back'
    // What was written beside it is undone with it, and the role can no longer commit.
    if (outer.busy > 0 || isWrittenBeside(stage, scope)) stage.unit.poisoned.add(step.role)
    // One that outlived the one around it keeps the role from its own commit.
    if (hasCode(error, 'SQLASSIST_NESTED_TRANSACTION_ENDED')) stage.unit.poisoned.add(step.role)
    if (!entered) stage.fail(step.role, error)
    throw error
  } finally {
    scope.answered = stage.now()
  }
}

function isWrittenBeside({ play, unit }: Stage, scope: Scope): boolean {
  return play.journal.writes.some(
    (write) =>
      write.unit === unit &&
      write.role.name === scope.role &&
      write.answered > scope.called &&
      !write.scopes.includes(scope),
  )
}

export async function performSavepoint(stage: Stage, step: StepOf<'savepoint'>, performAll: PerformAll): Promise<void> {
  const { unit } = stage
  unit.usedTransaction = true
  const record: SavepointRecord = {
    called: stage.now(),
    answered: Infinity,
    rollbackCalled: Infinity,
    rolledBack: Infinity,
  }
  const levels = [...unit.base].filter(([slot]) => joins(stage.role(slot))).map(([, level]) => level)
  const pending = levels.map((level) => [...level.pending])
  try {
    const savepoint = await stage.context.txn.savepoint()
    record.answered = stage.now()
    unit.savepoints.push(record)
    levels.forEach((level, index) => stage.sent(level, pending[index]!))
    await performAll(stage, step.steps)
    if (!step.rollback) return
    record.rollbackCalled = stage.now()
    await savepoint.rollback()
    record.rolledBack = stage.now()
    for (const level of levels)
      level.pending = level.pending.filter(({ issued }) => {
        return issued < record.called || issued > record.rollbackCalled
      })
  } catch (error) {
    if (record.answered === Infinity) stage.fail(undefined, error)
    throw error
  }
}

export async function performNested(stage: Stage, step: StepOf<'nested run'>, performAll: PerformAll): Promise<void> {
  const { play } = stage
  const other = step.registry === 'other' ? await play.other(stage.role('writer').dialect) : undefined
  const registry = other?.registry ?? stage.registry
  const roles = other === undefined ? play.program.roles : [other.role]
  const disabled = other === undefined && play.program.disabled
  const unit = new Unit(stage.unit.attempt, roles, disabled, true)
  play.journal.units.push(unit)
  const databases = other === undefined ? stage.databases : (): string => otherDatabase(other.role.dialect)
  await endUnit(unit, play.journal, () =>
    registry.run(async (context: any) => {
      const inner = new Stage({ play, unit, context, registry, databases })
      await inner.work(() => performAll(inner, step.steps))
    }),
  )
}
