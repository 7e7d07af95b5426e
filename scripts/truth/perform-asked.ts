/** What em.transactional() and em.begin() ask for, whether they have it, and what roles read beside others that write. */
import { performEnd } from './perform-end.ts'
import { Fact } from './entities.ts'
import type { Asked, Role, Slot, Step, StepOf } from './program.ts'
import type { Scope } from './record.ts'
import type { Stage } from './stage.ts'

type PerformAll = (stage: Stage, steps: readonly Step[]) => Promise<void>

const MODE = `select current_setting('transaction_isolation') as level, current_setting('transaction_read_only') as reads`
const LEVELS = ['read committed', 'repeatable read', 'serializable']

interface Mode {
  readonly level: string
  readonly reads: 'on' | 'off'
}

async function modeOf(stage: Stage, slot: Slot): Promise<Mode | undefined> {
  const em = stage.em(slot)
  if (stage.role(slot).dialect !== 'postgresql') return undefined
  return (await stage.ask(slot, () => em.execute<Mode[]>(MODE)))[0]
}

/** What was asked for and not refused has to be so. */
export async function assertGiven(stage: Stage, slot: Slot, asked: Asked): Promise<void> {
  const { isolationLevel, readOnly } = asked
  if (isolationLevel !== undefined) stage.unit.levels.push({ role: slot, level: isolationLevel })
  if (stage.isForgotten) return
  const mode = await modeOf(stage, slot)
  if (mode === undefined) return
  if (isolationLevel !== undefined && mode.level !== isolationLevel) {
    stage.play.journal.lie('not what was asked', `${slot} asked for ${isolationLevel} and has ${mode.level}`)
  }
  if (readOnly === true && mode.reads !== 'on') {
    stage.play.journal.lie('not what was asked', `${slot} asked for readOnly, and could write`)
  }
}

/** A transaction has the level of its role, or one that its program asked for. */
export async function readMode(stage: Stage, slot: Slot): Promise<void> {
  const mode = await modeOf(stage, slot)
  const role = stage.role(slot)
  if (mode === undefined) return
  const asked = stage.unit.levels.filter((each) => each.role === slot).map(({ level }) => level)
  const own = levelOf(role)
  const isStrongEnough = role.isolationLevel === undefined || LEVELS.indexOf(mode.level) >= LEVELS.indexOf(own)
  const isKnown = mode.level === own || asked.some((level) => level === mode.level)
  const reads = role.readOnly === undefined || mode.reads === 'on'
  if (isStrongEnough && isKnown && reads) return
  stage.play.journal.lie('another mode', `${slot} reads in ${mode.level}, read only ${mode.reads}`)
}

function levelOf({ readOnly, isolationLevel, server }: Role): string {
  return readOnly === 'snapshot' ? 'repeatable read' : (isolationLevel ?? server ?? 'read committed')
}

/** Reads all facts, for the judge to say which of them were to be seen. */
export async function readFacts(stage: Stage, slot: Slot): Promise<void> {
  const { em } = stage.level(slot)
  const issued = stage.now()
  const facts = await stage.ask(slot, () => em.find(Fact, {}, { fields: ['text'] }))
  const cells = new Set(facts.map(({ text }) => stage.cell(slot, 'fact', text)))
  const role = stage.role(slot)
  const answered = stage.now()
  stage.play.journal.views.push({ unit: stage.unit, role, issued, answered, database: stage.databases(role), cells })
}

export async function performOwnBegin(
  stage: Stage,
  { role: slot, asks, steps, commits, ...step }: StepOf<'own begin'>,
  performAll: PerformAll,
): Promise<void> {
  const { unit } = stage
  const level = stage.level(slot)
  const { em } = level
  const role = stage.role(slot)
  const isScope = role.commit === 'autocommit'
  const scope: Scope = {
    role: slot,
    called: stage.now(),
    left: Infinity,
    answered: Infinity,
    outcome: 'open',
    reads: asks.readOnly === true,
    byHand: true,
  }
  await stage.ask(slot, () => em.begin(asks))
  if (!isScope && !unit.disabled && role.commit !== 'autonomous') {
    stage.play.journal.lie('begin accepted', `${slot} began a transaction of its own`)
  }
  if (!isScope) {
    await assertGiven(stage, slot, asks)
    if (scope.reads) unit.poisoned.add(slot)
    await performAll(stage, steps)
    return await performEnd(stage, { ...step, do: commits ? 'commit role' : 'roll back role', role: slot })
  }
  unit.scopes.push(scope)
  const inner = stage.nested(scope, level)
  await assertGiven(inner, slot, asks)
  const end = async (isCommit: boolean): Promise<void> => {
    scope.left = stage.now()
    const pending = [...level.pending]
    try {
      await stage.ask(slot, () => (isCommit ? em.commit() : em.rollback()))
      if (isCommit) stage.sent(level, pending, stage.now())
      else for (const write of pending) write.shaky = true
      scope.outcome = isCommit ? 'kept' : 'rolled back'
    } catch (error) {
      scope.outcome = 'rolled back'
      throw error
    } finally {
      scope.answered = stage.now()
    }
  }
  try {
    await performAll(inner, steps)
  } catch (error) {
    await end(false)
    throw error
  }
  await end(commits)
}
