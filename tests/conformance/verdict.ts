import { UnknownInScenario } from './errors.ts'
import { type Answers, play, type Playing, type Refusal } from './player.ts'
import type { RefusedFeature } from './refusals.ts'
import type { Scenario } from './scenario.ts'

/** How a scenario came out. */
export type Verdict =
  | { readonly is: 'equal' }
  | { readonly is: 'skipped'; readonly feature: RefusedFeature }
  | { readonly is: 'different'; readonly trace: readonly string[]; readonly why?: string }

type Play = (scenario: Scenario, answers: Answers) => Promise<Playing>

/**
 * Plays a scenario twice, with participants that answer at once and with participants that answer later.
 *
 * Skipped is only what really meets a refusal: the scenario must name the feature of the step that meets it, and up to
 * there the traces must be equal. `patienceMs` is for a scenario that hangs: nothing in one waits for anything.
 */
export async function judge(scenario: Scenario, playing: Play = play, patienceMs = 30_000): Promise<Verdict> {
  const atOnce = await judgeOne(scenario, playing(scenario, 'at once'), patienceMs)
  if (atOnce.is === 'different') return atOnce
  const later = await judgeOne(scenario, playing(scenario, 'later'), patienceMs)
  return later.is === 'different' ? { ...later, why: later.why ?? 'with participants that answer by promises' } : later
}

async function judgeOne(scenario: Scenario, playing: Promise<Playing>, patienceMs: number): Promise<Verdict> {
  let played: Playing
  try {
    played = await inTime(playing, patienceMs)
  } catch (error) {
    if (error instanceof UnknownInScenario)
      throw new Error(`scenario ${scenario.id}: ${error.message}`, { cause: error })
    return { is: 'different', trace: [], why: String((error as Error).stack) }
  }
  const { trace, refusals } = played
  const [refusal] = refusals
  if (refusal !== undefined && isExcused(scenario, trace, refusal)) return { is: 'skipped', feature: refusal.feature }
  return areEqual(trace, scenario.expected) ? { is: 'equal' } : { is: 'different', trace }
}

function isExcused({ features = [], expected }: Scenario, trace: readonly string[], refusal: Refusal): boolean {
  if (refusal.byStep && !features.includes(refusal.feature)) return false
  return areEqual(trace.slice(0, refusal.at), expected.slice(0, refusal.at))
}

function areEqual(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((event, index) => event === right[index])
}

async function inTime<T>(work: Promise<T>, patienceMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not settled after ${patienceMs} ms`)), patienceMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
