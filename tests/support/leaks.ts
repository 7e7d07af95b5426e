/**
 * What a test may not leave behind: a connection out of its pool, a listener, a timer. (Unhandled rejections and handles
 * that keep the process alive are the business of scripts/test.ts.)
 *
 *     test.before.each(() => { leaks = watchLeaks({ pools: [await poolOf(orm)] }) })
 *     test.after.each(() => leaks.check())
 */
import type { EventEmitter } from 'node:events'
import process from 'node:process'
import { setImmediate as turn } from 'node:timers/promises'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import type pg from 'pg'
import { poolOf, type TestOrm } from './orms.ts'
import { until } from './until.ts'

export interface LeakWatch {
  /** Waits until every pool is idle, then throws one error that names everything left. Call it once. */
  check(): Promise<void>
}

type Counts = Readonly<Record<string, number>>

/** Compares the moment of this call with that of check(). `emitters` are named for the error; `process` is always among them. */
export function watchLeaks(
  options: { pools?: readonly pg.Pool[]; emitters?: Readonly<Record<string, EventEmitter>> } = {},
): LeakWatch {
  const pools = [...(options.pools ?? [])]
  const emitters = Object.entries({ process, ...options.emitters }).map(([name, emitter]) => ({
    name,
    emitter,
    before: listenersOf(emitter),
  }))
  const clients = new Map<pg.PoolClient, Counts>(
    pools.flatMap(clientsOf).map((client) => [client, listenersOf(client)]),
  )
  const connected = (client: pg.PoolClient) => void clients.set(client, listenersOf(client))
  const poolsBefore = pools.map((pool) => listenersOf(pool))
  for (const pool of pools) pool.on('connect', connected)
  const timersBefore = timers() - idleClients(pools)

  return {
    async check() {
      for (const pool of pools) await poolIdle(pool)
      for (const pool of pools) pool.off('connect', connected)
      await turn()
      const left = [
        ...emitters.flatMap(({ name, emitter, before }) => grown(name, before, listenersOf(emitter))),
        ...pools.flatMap((pool, index) => grown('the pool', poolsBefore[index] ?? {}, listenersOf(pool))),
        ...pools
          .flatMap(clientsOf)
          .flatMap((client) => grown('a pg client', clients.get(client) ?? {}, listenersOf(client))),
      ]
      const timersLeft = timers() - idleClients(pools) - timersBefore
      if (timersLeft > 0) left.push(`${timersLeft} timers`)
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
    },
  }
}

/** Waits until every connection of the pool is back in it and nobody waits for one. A ROLLBACK that nobody awaits may be under way. */
export async function poolIdle(pool: pg.Pool): Promise<void> {
  await until(
    () => pool.totalCount === pool.idleCount && pool.waitingCount === 0,
    () =>
      `an idle pool: ${pool.totalCount - pool.idleCount} of ${pool.totalCount} connections are out, ${pool.waitingCount} wait for one`,
  )
}

/** Waits until no connection is out of the pools of these ORMs; one over SQLite has no pool. */
export async function ormsIdle(...orms: readonly TestOrm[]): Promise<void> {
  for (const orm of orms) if (!(orm instanceof SqliteOrm)) await poolIdle(await poolOf(orm))
}

/** How many listeners each event of an emitter has. */
export function listenersOf(emitter: EventEmitter): Counts {
  return Object.fromEntries(emitter.eventNames().map((event) => [String(event), emitter.listenerCount(event)]))
}

function grown(name: string, before: Counts, after: Counts): string[] {
  return Object.entries(after)
    .map(([event, count]) => ({ event, more: count - (before[event] ?? 0) }))
    .filter(({ more }) => more > 0)
    .map(({ event, more }) => `${more} '${event}' listeners on ${name}`)
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

/** Each of them has a timer of the pool's own, which closes it after a while. */
function idleClients(pools: readonly pg.Pool[]): number {
  return pools.reduce((count, pool) => count + (pool.options.idleTimeoutMillis ? pool.idleCount : 0), 0)
}

function clientsOf(pool: pg.Pool): pg.PoolClient[] {
  return [...(pool as pg.Pool & { _clients: pg.PoolClient[] })._clients]
}
