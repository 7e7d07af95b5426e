/** Steps that say how the rest is to go. */
import { setImmediate as turn } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { TransientError } from '../../source/index.ts'
import { Fact, Note } from './entities.ts'
import { Deliberate } from './errors.ts'
import type { SettingStep, Slot, Step, StepOf } from './program.ts'
import type { HookRecord } from './record.ts'
import type { Stage } from './stage.ts'

export async function performSetting(stage: Stage, step: SettingStep): Promise<void> {
  const { context, unit, play } = stage
  switch (step.do) {
    case 'doom':
      unit.usedTransaction = true
      context.txn.doom()
      unit.doomed = true
      return
    case 'veto':
      context['status'] = 500
      unit.vetoed = true
      return
    case 'leave':
      return await leave(stage)
    case 'kill':
      return await kill(stage, step.role)
    case 'hook':
      return addHook(stage, step)
    case 'echo':
      unit.fragile.add(step.on)
      return void play.echoes.push({ on: step.on, create: () => create(stage, step, step.role) })
    case 'join':
      return join(stage, step)
    case 'body':
      return body(stage, step)
    case 'throw':
      return await throwing(stage, step)
  }
}

/** A fact that is created from within something else: on the session's own level. */
function create(stage: Stage, step: Step, role: Slot): void {
  const text = `w${stage.name(step)}`
  const outside = stage.outside()
  outside.em(role).create(Fact, { text })
  outside.write(step, role, outside.cell(role, 'fact', text), 1, { buffered: true, byProgram: false })
}

/** It ends the transaction under way, and the program may begin another. */
async function leave({ play, unit }: Stage): Promise<void> {
  const called = play.journal.tick()
  unit.left = true
  await play.leave()
  if (play.program.entry === 'run' || unit.isNested) return
  const answered = play.journal.tick()
  unit.ends.push({ called, roles: 'joined', transaction: undefined, answered, outcome: 'aborted', except: new Map() })
}

async function kill(stage: Stage, role: Slot): Promise<void> {
  const em = stage.em(role)
  const [row] = await stage.ask(role, () => em.execute<{ pid: number }[]>('select pg_backend_pid() as pid'))
  stage.unit.poisoned.add(role)
  await stage.play.terminate(row!.pid)
  await turn()
}

function addHook(stage: Stage, step: StepOf<'hook'>): void {
  const { context, unit } = stage
  unit.usedTransaction = true
  const transaction = context.txn
  const record: HookRecord = { when: step.when, transaction, calls: [] }
  const hook = (...args: unknown[]): void => {
    record.calls.push(args[0])
    if (step.role !== undefined && record.calls.length === 1) create(stage, step, step.role)
  }
  if (step.when === 'beforeCommit') transaction.addBeforeCommitHook(hook)
  if (step.when === 'afterCommit') transaction.addAfterCommitHook(hook)
  if (step.when === 'beforeAbort') transaction.addBeforeAbortHook(hook)
  if (step.when === 'afterAbort') transaction.addAfterAbortHook(hook)
  unit.hooks.push(record)
}

function join(stage: Stage, step: StepOf<'join'>): void {
  const { context, unit } = stage
  unit.usedTransaction = true
  const may = (phase: string): void => {
    if (step.throws === phase) throw new Deliberate(`step ${step.id} in ${phase}`)
  }
  if (step.throws === 'tpcFinish' || (step.throws === 'tpcVote' && step.key === '~~')) unit.lateResource = true
  context.txn.join({
    sortKey: () => step.key,
    tpcBegin: () => undefined,
    commit() {
      if (step.creates !== undefined) create(stage, step, step.creates)
      may('commit')
    },
    tpcVote: () => may('tpcVote'),
    tpcFinish: () => may('tpcFinish'),
    tpcAbort: () => undefined,
    abort: () => undefined,
  })
}

function body({ context, play }: Stage, { role, leaves }: StepOf<'body'>): void {
  async function* lines() {
    let first = true
    for await (const note of context.dbSession.get(role).stream(Note)) {
      yield `${(note as { text: string }).text}\n`
      if (first && leaves) await play.leave()
      first = false
    }
  }
  const readable = Readable.from(lines())
  readable.on('error', () => undefined)
  context['body'] = readable
}

async function throwing(stage: Stage, { id, error, once }: StepOf<'throw'>): Promise<void> {
  if (once && stage.unit.attempt > 1) return
  if (error === 'plain') throw new Deliberate(`step ${id}`)
  const postgres = [...stage.unit.roles.values()].find((role) => role.dialect === 'postgresql' && !role.readOnly)
  if (error === 'transient' || postgres === undefined) throw new TransientError(`step ${id}`)
  const sql = `do $$ begin raise exception 'again' using errcode = '40001'; end $$`
  await stage.ask(postgres.name, () => stage.em(postgres.name).execute(sql))
}
