/** The comparison itself: every work, on each database, at each delay. */
import type { AddedDelay } from './added-delay.ts'
import { emptied, type Database, type Targets } from './databases.ts'
import { figures, type Figures } from './figures.ts'
import type { Options } from './options.ts'
import { countWaits, type Trips } from './round-trips.ts'
import { startServer, type RunningServer } from './running-server.ts'
import { SERVERS, worksOf } from './servers.ts'
import { takeTurns } from './slices.ts'
import type { Stage } from './stage.ts'
import { table } from './table.ts'
import { shownTrips, tripsTable } from './trips-table.ts'
import { request, verify, verifyLoad } from './verify.ts'
import { SHAPES, type Work } from './works.ts'

export interface Compared {
  readonly results: readonly Figures[]
  readonly delays: readonly AddedDelay[]
  /** On PostgreSQL, by server and work, the statements by their first words. */
  readonly trips: Readonly<Record<string, { readonly waits: readonly string[]; readonly unwaited: readonly string[] }>>
}

export class Comparison {
  readonly #stage: Stage
  readonly #options: Options
  readonly #print: (text: string) => void
  readonly #results: Figures[] = []
  readonly #delays: AddedDelay[] = []
  /** By server and work. */
  readonly #trips = new Map<string, Trips>()

  constructor(stage: Stage, options: Options, print: (text: string) => void) {
    this.#stage = stage
    this.#options = options
    this.#print = print
  }

  async run(): Promise<Compared> {
    let { works } = this.#options
    for (const database of this.#options.databases) {
      if (database === 'postgresql') await this.#countWaits()
      for (const delayMs of database === 'postgresql' ? this.#options.delays : [0]) {
        await this.#compare(works, database, delayMs)
        // What touches no database is the same beside any, at any distance.
        works = works.filter((work) => work !== 'none')
      }
    }
    const trips = Object.fromEntries(this.#trips.entries().map(([key, each]) => [key, shownTrips(each)]))
    return { results: this.#results, delays: this.#delays, trips }
  }

  async #countWaits(): Promise<void> {
    const targets = await this.#stage.stepped()
    for (const name of this.#namesFor('postgresql', this.#options.works)) {
      const server = await startServer(name, targets, { recover: false })
      try {
        for (const work of worksOf(server.plan, 'postgresql', this.#options.works)) {
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
        const taking = servers.filter(({ plan }) => worksOf(plan, database, [work]).length > 0)
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
    for (const { port, name } of servers) await verified(name, work, () => verify(port, work, looks, `verify-${name}`))
    const measured = await takeTurns(servers, work, this.#stage.load, this.#options)
    for (const { server, label, requests } of measured) {
      await verified(server.name, work, () => verifyLoad(work, looks, label, requests))
    }
    for (const look of [looks.main, looks.other]) if (look !== undefined) await emptied(look, database)
    const heap = new Map<string, number>()
    for (const { name, process } of servers) heap.set(name, (await process.ask<number>('heapBytes')) / 2 ** 20)
    const rows = figures(measured, {
      work,
      database,
      delayMs,
      waits: (server) =>
        database === 'postgresql' ? (this.#trips.get(`${server} ${work}`)?.waits.length ?? null) : null,
      heapMiB: (server) => heap.get(server) ?? 0,
    })
    this.#results.push(...rows)
    this.#print(`\n${work}: ${SHAPES[work].means}; ${database}, ${delayMs} ms\n${table(rows)}`)
  }

  #namesFor(database: Database, works: readonly Work[]): string[] {
    return this.#options.servers.filter((name) => worksOf(SERVERS[name]!, database, works).length > 0)
  }
}

async function verified(name: string, work: Work, check: () => Promise<void>): Promise<void> {
  await check().catch((error: unknown) => {
    throw new Error(`${name} does not do "${work}" as it should: ${(error as Error).message}`, { cause: error })
  })
}
