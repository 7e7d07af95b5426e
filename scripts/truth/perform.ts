/** Carries out the steps of a program. */
import { performOwnBegin } from './perform-asked.ts'
import { performEnding } from './perform-ending.ts'
import { leaveBehind } from './perform-left-behind.ts'
import { performEnd } from './perform-end.ts'
import { performFailure, performRead, performStream } from './perform-read.ts'
import { compare, load } from './perform-compare.ts'
import { performNested, performSavepoint, performScope } from './perform-nested.ts'
import { performSetting } from './perform-setting.ts'
import { performWrite } from './perform-write.ts'
import type { Step } from './program.ts'
import type { Stage } from './stage.ts'

export async function performAll(stage: Stage, steps: readonly Step[]): Promise<void> {
  for (const step of steps) await handled(stage, step)
}

/** A step, with its promise treated as the program says. */
async function handled(stage: Stage, step: Step): Promise<void> {
  const mayOverlap = step.handling === 'forgotten' || step.do === 'parallel' || step.do === 'late branch'
  const work = noticed(mayOverlap ? stage.forgotten() : stage, step)
  if (step.handling === 'awaited') return await work
  const ignored = work.catch(() => undefined)
  if (step.handling === 'caught') return await ignored
  stage.play.forgotten.push(ignored)
}

async function noticed(stage: Stage, step: Step): Promise<void> {
  try {
    await perform(stage, step)
  } catch (error) {
    stage.notice(error)
    throw error
  }
}

async function perform(stage: Stage, step: Step): Promise<void> {
  switch (step.do) {
    case 'write':
      return await performWrite(stage, step)
    case 'flush':
      return await stage.flush(step.role)
    case 'load':
      return await load(stage, step.role)
    case 'compare':
      return await compare(stage, step)
    case 'read':
      return await performRead(stage, step)
    case 'fail':
      return await performFailure(stage, step)
    case 'stream':
      return await performStream(stage, step)
    case 'scope':
      return await performScope(stage, step, performAll)
    case 'own begin':
      return await performOwnBegin(stage, step, performAll)
    case 'leave behind':
      return await leaveBehind(stage, step)
    case 'ending':
      return await performEnding(stage, step)
    case 'savepoint':
      return await performSavepoint(stage, step, performAll)
    case 'nested run':
      return await performNested(stage, step, performAll)
    case 'parallel': {
      const branches = step.steps.map((each) => handled(stage, each))
      if (step.join === 'allSettled') return void (await Promise.allSettled(branches))
      stage.play.forgotten.push(Promise.allSettled(branches))
      return void (await Promise.all(branches))
    }
    case 'late branch': {
      if (stage.unit.attempt > 1) return
      const { gate, branches } = stage.play.late
      const branch = gate.promise.then(() => performAll(stage, step.steps))
      branches.push(branch.catch(() => undefined))
      return
    }
    case 'commit':
    case 'abort':
    case 'begin':
    case 'commit role':
    case 'roll back role':
      return await performEnd(stage, step)
    case 'doom':
    case 'veto':
    case 'leave':
    case 'kill':
    case 'hook':
    case 'echo':
    case 'join':
    case 'body':
    case 'throw':
      return await performSetting(stage, step)
  }
}
