/** The rounds: work, kill, rest, recover, check. */
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { openBank } from './bank.ts'
import { carryOut, type Stage } from './carry-out.ts'
import { judge, locks, prepared, quiet, remembered } from './check.ts'
import { Crew } from './crew.ts'
import { Outcomes } from './outcomes.ts'
import { nameOf, plans, type Plan } from './plans.ts'
import type { Breakage } from './passage.ts'
import { seededRandom } from './random.ts'
import { Traps } from './traps.ts'

export interface RunOptions {
  readonly rounds: number
  readonly seed: number
  readonly workers: number
  /** Only plans with this in their name. */
  readonly only: string
  /** Shows the messages of every round that went wrong. */
  readonly trace: boolean
  readonly breakage: Breakage | undefined
}

export interface Result {
  readonly rounds: number
  /** By what was killed and at which moment. */
  readonly kills: Record<string, Record<string, number>>
  readonly acknowledged: number
  readonly violations: number
  readonly leftInDoubt: number
}

const RECOVERIES = 20
const AFTERMATH_MS = 100

export async function run(options: RunOptions): Promise<Result> {
  const random = seededRandom(options.seed)
  const outcomes = new Outcomes()
  const traps = new Traps()
  /** Each is counted once, however long it stays. */
  const violations = new Set<string>()
  const inDoubt = new Set<string>()
  const kills: Result['kills'] = {}
  let round = 0
  let found: string[] = []
  const complain = (complaint: string): void => {
    if (violations.has(complaint)) return
    violations.add(complaint)
    found.push(complaint)
  }
  const bank = await openBank(options.breakage)
  bank.watch(traps.watch)
  const crew = new Crew(bank, outcomes, random, options.workers, complain)
  const stage: Stage = { bank, crew, traps }
  const dealt = plans(seededRandom(options.seed), options.only)
  try {
    await crew.start()
    for (round = 1; round <= options.rounds; round++) {
      const plan = dealt.next().value
      found = []
      traps.trace = []
      const from = performance.now()
      const reached = await play(stage, plan, complain, inDoubt)
      for (const complaint of await judge(bank, outcomes.endings)) complain(complaint)
      const [kind, moment] = nameOf(plan)
      if (reached) (kills[kind] ??= {})[moment] = (kills[kind][moment] ?? 0) + 1
      report(`${round}/${options.rounds} ${kind} at ${moment}${reached ? '' : ': never came'}`, from, outcomes)
      if (found.length > 0) tellViolations(found, plan, options.trace ? traps.trace : [])
    }
    found = []
    for (let times = 0; times < 2; times++) await crew.recover()
    for (const complaint of await remembered(bank)) complain(complaint)
    if (found.length > 0) tellViolations(found, undefined, [])
  } finally {
    await crew.dismiss()
    await bank.close()
  }
  for (const [error, times] of outcomes.errors) process.stderr.write(`${String(times).padStart(6)} x ${error}\n`)
  return {
    rounds: options.rounds,
    kills,
    acknowledged: outcomes.count('acknowledged'),
    violations: violations.size,
    leftInDoubt: inDoubt.size,
  }
}

async function play(
  stage: Stage,
  plan: Plan,
  complain: (complaint: string) => void,
  inDoubt: Set<string>,
): Promise<boolean> {
  const { bank, crew, traps } = stage
  await crew.ready()
  crew.go()
  const reached = await carryOut(stage, plan)
  await pause(plan.kind.includes('recoverer') ? 0 : AFTERMATH_MS)
  traps.note('rest')
  await crew.rest()
  traps.reunite()
  await crew.ready()
  for (const complaint of await quiet(bank)) complain(complaint)
  let left: string[] = []
  for (let times = 0; times < RECOVERIES; times++) {
    traps.note('recover')
    const reports = await crew.recover()
    traps.note(JSON.stringify(reports))
    left = await prepared(bank)
    if (left.length === 0 && reports.every((each) => each.left.length === 0)) break
    await pause(times)
  }
  for (const id of left) inDoubt.add(id)
  for (const complaint of await quiet(bank)) complain(complaint)
  for (const complaint of await locks(bank)) complain(complaint)
  return reached
}

function report(title: string, from: number, outcomes: Outcomes): void {
  const counts = (['acknowledged', 'unknown', 'failed'] as const).map((each) => `${outcomes.count(each)} ${each}`)
  process.stderr.write(`${title}  ${((performance.now() - from) / 1000).toFixed(2)} s  ${counts.join(', ')}\n`)
}

function tellViolations(found: readonly string[], plan: Plan | undefined, trace: readonly string[]): void {
  process.stderr.write(`VIOLATIONS ${plan === undefined ? 'at the end' : `under ${JSON.stringify(plan)}`}\n`)
  for (const line of [...found, ...trace]) process.stderr.write(`  ${line}\n`)
}
