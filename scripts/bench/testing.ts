/**
 * What it costs to have each test find the database as it was, in a sandbox and in other ways:
 * `node scripts/bench/testing.ts [--rounds N] [--tables 2,10,30] [--fsync on|off]`.
 *
 * All ways take turns, each with databases of its own: a test of two requests over HTTP (a POST that stores a row, a GET), and the
 * cleaning behind it. Prints milliseconds (medians), and how many times as long a way takes as the sandbox in the same round. The
 * last line is JSON.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { startEmbeddedPostgres } from '../../tests/support/embedded-postgres.ts'
import { usePostgres } from '../../tests/support/postgres.ts'
import { closeSharedResources } from '../../tests/support/shared-resources.ts'
import { entitiesOf, waysOnPostgres, waysOnSqlite, type Way } from './cleaning.ts'
import { median, quantile } from './median.ts'

const WARM_UP = 5

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    tables: { type: 'string', default: '2,10,30' },
    fsync: { type: 'string', default: 'off' },
  },
})
const rounds = Number(values.rounds)
const counts = values.tables.split(',').map(Number)
const isSensible = [rounds, ...counts].every((count) => Number.isInteger(count) && count > 0)
if (!isSensible || !['on', 'off'].includes(values.fsync)) {
  process.stderr.write('usage: node scripts/bench/testing.ts [--rounds N] [--tables 2,10,30] [--fsync on|off]\n')
  process.exit(2)
}

/** Milliseconds of each round. */
interface Times {
  readonly cleaning: number[]
  /** With its two requests. */
  readonly whole: number[]
}

/** Of one way, as multiples of the sandbox. */
interface Compared {
  readonly way: string
  readonly cleaningMs: number
  readonly cleaning: number
  readonly cleaningSpread: number
  readonly wholeMs: number | null
  readonly whole: number | null
  readonly wholeSpread: number | null
}

const embedded = await startEmbeddedPostgres({ fsync: values.fsync })
const server = await usePostgres(embedded.url)
const results: Record<string, Compared[]> = {}
try {
  for (const tables of counts) {
    const entities = entitiesOf(tables)
    await show(`PostgreSQL, ${tables} tables`, await waysOnPostgres(server, entities))
    await show(`SQLite, ${tables} tables`, await waysOnSqlite(entities))
  }
} finally {
  await closeSharedResources()
  await server.close()
  await embedded.stop()
}
process.stdout.write(`${JSON.stringify({ rounds, fsync: values.fsync, results })}\n`)

async function show(title: string, ways: Readonly<Record<string, Way>>): Promise<void> {
  const compared = (results[title] = compare(await measure(ways)))
  process.stdout.write(`\n${title}\n`)
  for (const { way, ...figures } of compared) {
    const cleaning = `cleaning ${multiple(figures.cleaningMs, figures.cleaning, figures.cleaningSpread)}`
    const { whole, wholeMs, wholeSpread } = figures
    const all = wholeMs === null ? '' : `  test ${multiple(wholeMs, whole ?? 1, wholeSpread ?? 0)}`
    process.stdout.write(`  ${way.padEnd(48)}${cleaning}${all}\n`)
  }
}

function multiple(ms: number, times: number, apart: number): string {
  return `${ms.toFixed(2).padStart(7)} ms ${times.toFixed(2).padStart(7)} ±${apart.toFixed(2).padEnd(6)}`
}

async function measure(ways: Readonly<Record<string, Way>>): Promise<Record<string, Times>> {
  const times: Record<string, Times> = {}
  for (const name of Object.keys(ways)) times[name] = { cleaning: [], whole: [] }
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) {
      const taken = await once(name, way)
      if (round >= 0) for (const [part, ms] of Object.entries(taken)) times[name]![part as keyof Times].push(ms)
    }
  }
  for (const way of Object.values(ways)) await way.close()
  return times
}

async function once(name: string, { test, soil, clean }: Way): Promise<{ cleaning: number; whole?: number }> {
  await soil?.()
  const from = performance.now()
  const found = await test?.()
  if (found !== undefined && found !== 1) throw new Error(`${name}: a test finds ${found} rows`)
  const behind = performance.now()
  await clean()
  const end = performance.now()
  return { cleaning: end - behind, ...(test && { whole: end - from }) }
}

function compare(times: Readonly<Record<string, Times>>): Compared[] {
  const [base] = Object.values(times)
  return Object.entries(times).map(([way, { cleaning, whole }]) => {
    const cleanings = ratios(cleaning, base!.cleaning)
    const wholes = ratios(whole, base!.whole)
    const hasWhole = whole.length > 0
    return {
      way,
      cleaningMs: rounded(median(cleaning)),
      cleaning: rounded(median(cleanings)),
      cleaningSpread: spread(cleanings),
      wholeMs: hasWhole ? rounded(median(whole)) : null,
      whole: hasWhole ? rounded(median(wholes)) : null,
      wholeSpread: hasWhole ? spread(wholes) : null,
    }
  })
}

/** Within each round, so that a machine that is slow for a while is slow for both. */
function ratios(numbers: readonly number[], base: readonly number[]): number[] {
  return numbers.map((ms, round) => ms / base[round]!)
}

function spread(numbers: readonly number[]): number {
  return rounded((quantile(numbers, 0.75) - quantile(numbers, 0.25)) / 2)
}

function rounded(number: number): number {
  return Math.round(number * 100) / 100
}
