/** One work, measured in turn: A B C C B A, in short slices, while all servers stay up. */
import type { Load, LoadResult } from './load.ts'
import { pathsOf } from './paths.ts'
import type { Asked } from './questions.ts'
import type { RunningServer } from './running-server.ts'
import { SHAPES, type Work } from './works.ts'

export interface Slice {
  readonly requestsPerSecond: number
  readonly cpuMicros: number
  readonly p99Ms: number
  readonly loadBusy: number
}

export interface Measured {
  readonly server: RunningServer
  readonly slices: readonly Slice[]
  /** Requests answered in all, those of the warm-up among them; the label of the notes they stored. */
  readonly requests: number
  readonly label: string
}

export interface SliceOptions {
  readonly seconds: number
  readonly rounds: number
  readonly connections: number
}

export async function takeTurns(
  servers: readonly RunningServer[],
  work: Work,
  load: Asked,
  options: SliceOptions,
): Promise<Measured[]> {
  const turns = servers.map((server) => new Turns(server, work, load, options))
  for (const each of turns) await each.warmUp()
  for (let round = 0; round < options.rounds; round++) {
    // The first of a round was measured to be slower than the same server in second place.
    for (const each of round % 2 === 0 ? turns : turns.toReversed()) await each.slice()
  }
  return turns
}

class Turns implements Measured {
  readonly server: RunningServer
  readonly label: string
  readonly slices: Slice[] = []
  requests = 0
  readonly #load: Asked
  readonly #options: SliceOptions
  readonly #request: Omit<Load, 'requests'>
  #perSecond = 0

  constructor(server: RunningServer, work: Work, load: Asked, options: SliceOptions) {
    this.server = server
    this.#load = load
    this.#options = options
    this.label = `load-${server.name}`
    const { method, status } = SHAPES[work]
    this.#request = { port: server.port, method, status, paths: pathsOf(work, options.connections, this.label) }
  }

  /** Long enough that what is measured is compiled code. */
  async warmUp(): Promise<void> {
    await this.#run(400)
    await this.#run(this.#perSecond * Math.max(1, this.#options.seconds))
  }

  async slice(): Promise<void> {
    const { seconds } = this.#options
    // It stood idle while the others had their turns.
    await this.#run(this.#perSecond * Math.min(0.3, seconds))
    const before = await this.server.process.ask<number>('cpuMicros')
    const { requests, p99Ms, busy } = await this.#run(this.#perSecond * seconds)
    const cpuMicros = ((await this.server.process.ask<number>('cpuMicros')) - before) / requests
    this.slices.push({ requestsPerSecond: this.#perSecond, cpuMicros, p99Ms, loadBusy: busy })
  }

  async #run(requests: number): Promise<LoadResult> {
    const load: Load = { ...this.#request, requests: Math.ceil(requests) }
    const result = await this.#load.ask<LoadResult>('run', load)
    this.requests += result.requests
    this.#perSecond = result.requests / result.seconds
    return result
  }
}
