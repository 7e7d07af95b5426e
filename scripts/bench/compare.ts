/** The comparison itself: every work, on each database, at each delay. */
import type { AddedDelay } from './added-delay.ts'
import { emptied, type Database, type Targets } from './databases.ts'
import { figures, type Figures } from './figures.ts'
import type { Options } from './options.ts'
import { countWaits, type Trips } from './round-trips.ts'
import { startServer, type RunningServer } from './running-server.ts'
import { SERVERS } from './servers.ts'
import { takeTurns } from './slices.ts'
import type { Stage } from './stage.ts'
import { table } from './table.ts'
import { tripsTable } from './trips-table.ts'
import { request, verify, verifyLoad } from './verify.ts'
import { SHAPES, type Work } from './works.ts'

export interface Compared {
  readonly results: readonly Figures[]
  readonly delays: readonly AddedDelay[]
  /** The share of its time that the load's own process was busy, in the busiest slice. */
  readonly generatorBusy: number
}

export class Comparison {
  readonly #stage: Stage
  readonly #options: Options
  readonly #print: (text: string) => void
  readonly #results: Figures[] = []
  readonly #delays: AddedDelay[] = []
  /** By server and work. */
  readonly #trips = new Map<string, Trips>()
  #generatorBusy = 0

  constructor(stage: Stage, options: Options, print: (text: string) => void) {
    this.#stage = stage
    this.#options = options
    this.#print = print
  }

  async run(): Promise<Compared> {
    for (const database of this.#options.databases) {
      if (database === 'postgresql') await this.#countWaits()
      const delays = database === 'postgresql' ? this.#options.delays : [0]
      for (const delayMs of delays) {
        // What touches no database is the same at any distance from it.
        const works = this.#options.works.filter((work) => work !== 'none' || delayMs === delays[0])
        await this.#compare(works, database, delayMs)
      }
    }
    return { results: this.#results, delays: this.#delays, generatorBusy: this.#generatorBusy }
  }

  async #countWaits(): Promise<void> {
    const targets = await this.#stage.stepped()
    for (const name of this.#namesFor('postgresql', this.#options.works)) {
      const server = await startServer(name, targets)
      try {
        for (const work of this.#options.works.filter((each) => server.plan.works.includes(each))) {
          const argument = SHAPES[work].argument === 'article' ? '1' : 'counted'
          const send = () => request(server.port, work, argument)
          this.#trips.set(`${name} ${work}`, await countWaits(server.process, this.#stage.proxy, send))
        }
      } finally {
        await server.stop()
      }
    }
    this.#print(`\nWhat a request waits for on PostgreSQL, and in brackets what is sent and not waited for\n`)
    this.#print(tripsTable(this.#trips))
  }

  async #compare(works: readonly Work[], database: Database, delayMs: number): Promise<void> {
    const servers: RunningServer[] = []
    try {
      const targets = await this.#route(database, delayMs)
      for (const name of this.#namesFor(database, works)) servers.push(await startServer(name, targets))
      for (const work of works) {
        const taking = servers.filter(({ plan }) => plan.works.includes(work))
        if (taking.length > 0) await this.#measure(taking, work, database, delayMs)
      }
    } finally {
      for (const server of servers) await server.stop()
    }
  }

  async #route(database: Database, delayMs: number): Promise<Targets> {
    if (delayMs === 0) return this.#stage.places[database].targets
    const { targets, added } = await this.#stage.delayed(delayMs)
    this.#delays.push(added)
    this.#print(
      `\nThe proxy for ${delayMs} ms adds ${added.addedMs} ms to a round trip (95 %: ${added.addedP95Ms} ms)\n`,
    )
    return targets
  }

  async #measure(servers: readonly RunningServer[], work: Work, database: Database, delayMs: number): Promise<void> {
    const { looks } = this.#stage.places[database]
    for (const { port, name } of servers) await verify(port, work, looks, `verify-${name}`)
    const measured = await takeTurns(servers, work, this.#stage.load, this.#options)
    for (const { label, requests } of measured) await verifyLoad(work, looks, label, requests)
    for (const look of [looks.main, looks.other]) if (look !== undefined) await emptied(look, database)
    const heap = new Map<string, number>()
    for (const { name, process } of servers) heap.set(name, (await process.ask<number>('heapBytes')) / 2 ** 20)
    const rows = figures(measured, {
      work,
      database,
      delayMs,
      waits: (server) => this.#trips.get(`${server} ${work}`)?.waits.length ?? null,
      heapMiB: (server) => heap.get(server) ?? 0,
    })
    this.#results.push(...rows)
    const busy = measured.flatMap(({ slices }) => slices.map(({ generatorBusy }) => generatorBusy))
    this.#generatorBusy = Math.max(this.#generatorBusy, ...busy)
    this.#print(`\n${work}: ${SHAPES[work].means}; ${database}, ${delayMs} ms\n${table(rows)}`)
  }

  #namesFor(database: Database, works: readonly Work[]): string[] {
    return this.#options.servers.filter((name) => {
      const plan = SERVERS[name]!
      return plan.databases.includes(database) && plan.works.some((work) => works.includes(work))
    })
  }
}
