/** A run of many programs. */
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { closeSharedResources } from '../../tests/support/shared-resources.ts'
import { generate } from './generate.ts'
import { Lane } from './lane.ts'
import { play, type Played, type Theatre } from './play.ts'
import { print } from './print.ts'
import type { Databases, Program } from './program.ts'
import type { Lie } from './record.ts'
import { Servers } from './server.ts'
import { shrink } from './shrink.ts'
import { Strays } from './strays.ts'

export interface RunOptions {
  readonly programs: number
  readonly seed: number
  readonly databases: Databases
  /** Only this one. */
  readonly only: number | undefined
  readonly patienceMs: number
  /** How many programs that lie are shown whole. */
  readonly shown: number
  /** Further words of the line that repeats a program. */
  readonly words: string
}

export interface Result {
  readonly programs: number
  readonly seed: number
  readonly database: Databases
  /** How many programs had each lie. */
  readonly lies: Record<string, number>
  readonly hangs: number
  readonly leaks: number
  /** How many units ended well: with none, nothing would be tested. */
  readonly resolved: number
  readonly writes: number
  readonly seconds: number
}

const LANES = 3
const SHRINKING_PATIENCE_MS = 1500

export async function run(options: RunOptions): Promise<Result> {
  const from = performance.now()
  const count = { lies: {} as Record<string, number>, hangs: 0, leaks: 0, resolved: 0, writes: 0, shown: 0, played: 0 }
  const servers = await Servers.open()
  const strays = new Strays()
  const numbers = options.only === undefined ? range(options.programs) : [options.only]
  const guilty: { readonly index: number; readonly kinds: readonly string[] }[] = []
  const lanes = Array.from({ length: Math.min(LANES, numbers.length) }, () => new Lane())
  const queue = numbers.values()
  const work = async (lane: Lane): Promise<void> => {
    for (const index of queue) {
      const program = generate(options.seed, index, options.databases)
      const played = await strays.with(index, () => play(program, { lane, servers, patienceMs: options.patienceMs }))
      tally(count, played)
      report(++count.played, numbers.length, from, guilty.length)
      if (played.lies.length === 0) continue
      guilty.push({ index, kinds: kindsOf(played) })
      process.stderr.write(`${index}: ${played.lies.map(({ kind, what }) => `${kind}: ${what}`).join(' | ')}\n`)
    }
  }
  await Promise.all(lanes.map(work))
  const theatre = { lane: lanes[0]!, servers, patienceMs: Math.min(options.patienceMs, SHRINKING_PATIENCE_MS) }
  const suspects = strays.suspects.filter((index) => !guilty.some((each) => each.index === index))
  for (const index of suspects) {
    const again = await withStrays(strays, theatre, generate(options.seed, index, options.databases))
    if (again.lies.length > 0) guilty.push({ index, kinds: kindsOf(again) })
  }
  for (const { kinds } of guilty) for (const kind of kinds) count.lies[kind] = (count.lies[kind] ?? 0) + 1
  for (const { index, kinds } of chosen(guilty, options.shown)) await show(options, index, kinds, theatre, strays)
  for (const lane of lanes) {
    for (const registry of await lane.close(options.patienceMs)) {
      process.stderr.write(`a registry does not close: ${registry}\n`)
      count.lies['close hangs'] = (count.lies['close hangs'] ?? 0) + 1
    }
  }
  await servers.close()
  strays.stop()
  await closeSharedResources()
  const { lies, hangs, leaks, resolved, writes } = count
  const seconds = Math.round((performance.now() - from) / 100) / 10
  const { seed, databases: database } = options
  return { programs: numbers.length, seed, database, lies, hangs, leaks, resolved, writes, seconds }
}

/** Of every kind some, the others by number only. */
function chosen<T extends { readonly kinds: readonly string[]; readonly index: number }>(
  guilty: readonly T[],
  most: number,
): T[] {
  const perKind = new Map<string, number>()
  return guilty
    .toSorted((one, other) => one.index - other.index)
    .filter(({ kinds }) => {
      const times = perKind.get(kinds[0]!) ?? 0
      perKind.set(kinds[0]!, times + 1)
      return times < most
    })
}

async function show(options: RunOptions, index: number, kinds: readonly string[], theatre: Theatre, strays: Strays) {
  const program = generate(options.seed, index, options.databases)
  tell(`LIE in program ${index}: ${kinds.join(', ')}`, program, [])
  const kind = kinds[0]!
  const lies = async (smaller: Program): Promise<Played> => await withStrays(strays, theatre, smaller)
  const once = await lies(program)
  const smallest = await shrink(program, async (smaller) => (await lies(smaller)).lies.some((lie) => lie.kind === kind))
  const last = await lies(smallest)
  tell(
    smallest === program ? 'it does not get smaller' : 'smaller',
    smallest,
    last.lies.length > 0 ? last.lies : once.lies,
  )
  const { seed, databases, words } = options
  process.stderr.write(
    `repeat: npx node scripts/truth.ts --seed ${seed} --database ${databases} --only ${index}${words}\n\n`,
  )
}

/** Alone, so that a stray rejection is of this program. */
async function withStrays(strays: Strays, theatre: Theatre, program: Program): Promise<Played> {
  const { result, found } = await strays.alone(() => play(program, theatre))
  return { ...result, lies: [...result.lies, ...found] }
}

function tell(title: string, program: Program, lies: readonly Lie[]): void {
  const lines = [
    title,
    ...print(program).map((line) => `  ${line}`),
    ...lies.map(({ kind, what }) => `  => ${kind}: ${what}`),
  ]
  process.stderr.write(`${lines.join('\n')}\n`)
}

function kindsOf({ lies }: Played): string[] {
  return [...new Set(lies.map(({ kind }) => kind))]
}

function tally(count: { hangs: number; leaks: number; resolved: number; writes: number }, played: Played): void {
  if (played.hung) count.hangs += 1
  if (played.leaked) count.leaks += 1
  if (played.outcome === 'resolved') count.resolved += 1
  count.writes += played.writes
}

function report(done: number, all: number, from: number, lies: number): void {
  if (done % 500 !== 0 && done !== all) return
  const seconds = (performance.now() - from) / 1000
  process.stderr.write(`${done}/${all} programs, ${seconds.toFixed(1)} s, ${lies} lie\n`)
}

function range(end: number): number[] {
  return Array.from({ length: end }, (_, index) => index)
}
