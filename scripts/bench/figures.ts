import type { Database } from './databases.ts'
import { median, quantile } from './median.ts'
import { againstIn } from './servers.ts'
import type { Measured, Slice } from './slices.ts'
import type { Work } from './works.ts'

/** What is said of one server doing one work. Medians over the slices. */
export interface Figures {
  readonly server: string
  readonly work: Work
  readonly database: Database
  readonly delayMs: number
  readonly requestsPerSecond: number
  /** Requests a second, as a multiple of what `against` did in the same round: above 1 is faster. */
  readonly ratio: number | null
  readonly against: string
  readonly p99Ms: number
  /** CPU time of the server's process for one request, user and system. */
  readonly cpuMicros: number
  /** The same as a multiple of that of `against`: below 1 is cheaper. */
  readonly cpuRatio: number | null
  /** How far the rounds are apart: half of them are within about this of the ratio. */
  readonly ratioSpread: number | null
  readonly cpuRatioSpread: number | null
  /** Answers of PostgreSQL that a request waits for, one after another; null on SQLite, which has no network. */
  readonly waits: number | null
  /** The share of its time that the load's own process was busy: near 1 the load is what is measured. */
  readonly loadBusy: number
  /** Of the server's process after this work, all garbage collected. */
  readonly heapMiB: number
}

export interface Circumstances {
  readonly work: Work
  readonly database: Database
  readonly delayMs: number
  readonly waits: (server: string) => number | null
  readonly heapMiB: (server: string) => number
}

export function figures(measured: readonly Measured[], { work, database, delayMs, ...of }: Circumstances): Figures[] {
  return measured.map(({ server, slices }) => {
    const against = againstIn(work, server.plan)
    const base = measured.find((each) => each.server.name === against)?.slices
    const [speed, cpu] = [ratios(slices, base, 'requestsPerSecond'), ratios(slices, base, 'cpuMicros')]
    return {
      server: server.name,
      work,
      database,
      delayMs,
      requestsPerSecond: Math.round(middle(slices, 'requestsPerSecond')),
      ratio: speed && rounded(median(speed), 3),
      against,
      p99Ms: rounded(middle(slices, 'p99Ms'), 2),
      cpuMicros: Math.round(middle(slices, 'cpuMicros')),
      cpuRatio: cpu && rounded(median(cpu), 3),
      ratioSpread: speed && spread(speed),
      cpuRatioSpread: cpu && spread(cpu),
      waits: of.waits(server.name),
      loadBusy: rounded(middle(slices, 'loadBusy'), 2),
      heapMiB: rounded(of.heapMiB(server.name), 1),
    }
  })
}

function middle(slices: readonly Slice[], field: keyof Slice): number {
  return median(slices.map((slice) => slice[field]))
}

/** Ratios within each round, so that a machine that is slow for a while is slow for both. */
function ratios(slices: readonly Slice[], base: readonly Slice[] | undefined, field: keyof Slice): number[] | null {
  return base === undefined ? null : slices.map((slice, round) => slice[field] / base[round]![field])
}

function spread(values: readonly number[]): number {
  return rounded((quantile(values, 0.75) - quantile(values, 0.25)) / 2, 3)
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
