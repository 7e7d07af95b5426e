/** What is to be killed, and when. */
import { SERVERS, type ServerName } from './bank.ts'
import type { Random } from './random.ts'
import { SIDES, type Side, type Step } from './steps.ts'

/** At a message of this kind; `skip` of them pass first. */
export interface AtStep {
  readonly step: Step
  readonly side: Side
  readonly skip: number
}

/**
 * What becomes of a connection. `cut`: it breaks there. `late`: it breaks for the client, and the server still gets the
 * message. `after recovery`: everybody recovers before that happens. `hold`: everybody recovers, and then it goes on as if
 * nothing had been. `gone`: from there on that client cannot reach that server any more.
 */
export const CUTS = ['cut', 'cut after recovery', 'late', 'late after recovery', 'hold', 'gone'] as const
export type Cut = (typeof CUTS)[number]

export type Plan = { readonly afterMs: number } & (
  | { readonly kind: 'worker'; readonly at: AtStep | undefined; readonly late: boolean }
  | { readonly kind: 'worker in sqlite'; readonly at: AtStep }
  | { readonly kind: 'server'; readonly at: AtStep | undefined; readonly which: ServerName }
  | { readonly kind: 'the other server'; readonly at: AtStep }
  /** Everybody recovers while the server is down: what it alone could tell must not be guessed, nor forgotten. */
  | { readonly kind: 'server, recovery while it is down'; readonly at: AtStep }
  | { readonly kind: 'everything'; readonly at: AtStep | undefined }
  | { readonly kind: 'connection'; readonly at: AtStep; readonly how: Cut }
  | { readonly kind: 'recoverer'; readonly at: AtStep | undefined; readonly first: AtStep }
  | { readonly kind: 'connection of the recoverer'; readonly at: AtStep; readonly first: AtStep }
  | { readonly kind: 'server under the recoverer'; readonly at: AtStep; readonly first: AtStep }
  | { readonly kind: 'nothing'; readonly at: undefined }
)

/** `Omit` that keeps the alternatives apart. */
type Draft<P = Plan> = P extends Plan ? Omit<P, 'afterMs'> : never

const PROTOCOL: readonly Step[] = ['prepare', 'decide', 'commit prepared']
const WORK: readonly Step[] = ['begin', 'write', ...PROTOCOL]
const RECOVERY: readonly Step[] = ['look for prepared', 'fence', 'commit prepared', 'rollback prepared', 'forget']
/** Where a worker dies to leave something for the recoverer: to be rolled back, or to be committed. */
const UNDECIDED: readonly Omit<AtStep, 'skip'>[] = [{ step: 'decide', side: 'request' }]
const DECIDED: readonly Omit<AtStep, 'skip'>[] = [
  { step: 'decide', side: 'answer' },
  { step: 'commit prepared', side: 'request' },
]

const LONGEST_DELAY_MS = 120
const MOST_SKIPPED = 5

/** The name under which a plan is counted: what is killed, and at which moment. */
export function nameOf(plan: Plan): readonly [kind: string, moment: string] {
  const how = plan.kind === 'connection' ? ` (${plan.how})` : ''
  const moment = plan.at === undefined ? 'any moment' : `${plan.at.step} ${plan.at.side}`
  if (plan.kind === 'nothing') return ['nothing', 'recovery under load']
  return [plan.kind + how, moment]
}

/** Every plan once, in random order. */
export function deck(random: Random): Plan[] {
  const at = (steps: readonly Step[], sides: readonly Side[] = SIDES): AtStep[] =>
    steps.flatMap((step) => sides.map((side) => ({ step, side, skip: random.below(MOST_SKIPPED) })))
  const first = (step?: Step): AtStep => {
    const undecided = step === 'commit prepared' ? [] : UNDECIDED
    // Where the SQLite file decided, nobody sees the recoverer ask it.
    const decided =
      step === 'rollback prepared' ? [] : DECIDED.filter((each) => step !== 'fence' || each.step === 'decide')
    return { ...random.pick([...undecided, ...decided]), skip: random.below(MOST_SKIPPED) }
  }
  const drafts: Draft[] = [
    ...[undefined, undefined, ...at(WORK)].map(
      (moment) => ({ kind: 'worker', at: moment, late: random.below(2) === 0 }) as const,
    ),
    ...at(['decide', 'commit']).map(
      (moment) => ({ kind: 'worker in sqlite', at: { ...moment, skip: moment.skip % 2 } }) as const,
    ),
    ...SERVERS.map((which) => ({ kind: 'server', at: undefined, which }) as const),
    ...at(WORK).map((moment) => ({ kind: 'server', at: moment, which: random.pick(SERVERS) }) as const),
    ...at(PROTOCOL).map((moment) => ({ kind: 'the other server', at: moment }) as const),
    ...at(PROTOCOL).map((moment) => ({ kind: 'server, recovery while it is down', at: moment }) as const),
    ...[undefined, ...at(['decide'])].map((moment) => ({ kind: 'everything', at: moment }) as const),
    ...cuts('cut', at(WORK)),
    ...cuts('late', at(WORK, ['request'])),
    ...cuts('hold', at(PROTOCOL)),
    ...cuts('cut after recovery', at(PROTOCOL)),
    ...cuts('late after recovery', at(PROTOCOL, ['request'])),
    ...cuts('gone', at(['decide'])),
    ...[undefined, undefined].map(() => ({ kind: 'recoverer', at: undefined, first: first() }) as const),
    ...at(RECOVERY).map(
      (moment) => ({ kind: 'recoverer', at: { ...moment, skip: 0 }, first: first(moment.step) }) as const,
    ),
    ...at(RECOVERY).map(
      (moment) =>
        ({ kind: 'connection of the recoverer', at: { ...moment, skip: 0 }, first: first(moment.step) }) as const,
    ),
    ...at(['fence', 'commit prepared', 'rollback prepared']).map(
      (moment) =>
        ({ kind: 'server under the recoverer', at: { ...moment, skip: 0 }, first: first(moment.step) }) as const,
    ),
    { kind: 'nothing', at: undefined },
    { kind: 'nothing', at: undefined },
  ]
  return random.shuffled(drafts).map((draft) => ({ ...draft, afterMs: random.below(LONGEST_DELAY_MS) }))
}

function cuts(how: Cut, moments: readonly AtStep[]) {
  return moments.map((at) => ({ kind: 'connection', at, how }) as const)
}

/** The plans of a run: deck after deck, only those whose name has `only` in it. */
export function* plans(random: Random, only: string): Generator<Plan, never> {
  for (;;) {
    const chosen = deck(random).filter((plan) => nameOf(plan).join(' at ').includes(only))
    if (chosen.length === 0) throw new Error(`no plan has "${only}" in its name`)
    yield* chosen
  }
}
