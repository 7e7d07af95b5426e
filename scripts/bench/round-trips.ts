/**
 * What a request waits for. The network to PostgreSQL stands still; each time nothing can go on without it, it brings every
 * answer there is, all at once. A *wait* is such a step before the response arrived: a burst of messages (over one connection
 * or several) whose answers have to travel back before the request can go on. What was sent and not waited for, such as a
 * ROLLBACK after which the response goes out at once, makes no step. So the count does not depend on any clock.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Asked } from './questions.ts'
import type { NetworkState } from './stepped-network.ts'

/** One request: the SQL of each wait, and that whose answers nobody waited for. */
export interface Trips {
  readonly waits: readonly (readonly string[])[]
  readonly unwaited: readonly string[]
}

const WARM_UP = 2
const REQUESTS = 5
const PATIENCE = 2_000

/**
 * Counts several requests one after another, which must all be alike.
 * @param send sends the same kind of request, with another argument each time
 */
export async function countWaits(server: Asked, proxy: Asked, send: () => Promise<unknown>): Promise<Trips> {
  await proxy.ask('hold')
  try {
    for (let count = 0; count < WARM_UP; count++) await oneRequest(server, proxy, send)
    const { opened } = await proxy.ask<NetworkState>('state')
    const first = await oneRequest(server, proxy, send)
    for (let count = 1; count < REQUESTS; count++) {
      const next = await oneRequest(server, proxy, send)
      assert.deepEqual(shapeOf(next), shapeOf(first), 'two requests differ in what they wait for')
    }
    const state = await proxy.ask<NetworkState>('state')
    assert.equal(state.opened, opened, 'a connection was opened, which takes waits too')
    return first
  } finally {
    await proxy.ask('flow')
  }
}

async function oneRequest(server: Asked, proxy: Asked, send: () => Promise<unknown>): Promise<Trips> {
  let over = false
  const response = send().finally(() => (over = true))
  const waits: string[][] = []
  for (let patience = PATIENCE; ; patience--) {
    const { answered } = await standstill(server, proxy)
    if (over) break
    if (answered > 0) waits.push(await proxy.ask<string[]>('step'))
    assert.ok(patience > 0, `no response comes, and nothing is under way, after ${JSON.stringify(waits)}`)
  }
  await response
  const unwaited: string[] = []
  while ((await standstill(server, proxy)).asked > 0) unwaited.push(...(await proxy.ask<string[]>('step')))
  return { waits, unwaited }
}

/** Waits until PostgreSQL has answered everything sent, and the server needs those answers to go on. */
async function standstill(server: Asked, proxy: Asked): Promise<NetworkState> {
  let before: NetworkState | undefined
  for (;;) {
    await server.ask('idle')
    const state = await proxy.ask<NetworkState>('state')
    // A response that is there is read before it is asked for.
    await sleep(1)
    // Twice the same, since a request may reach the server just after it said that it is idle.
    if (state.asked === state.answered && isDeepStrictEqual(state, before)) return state
    before = state
  }
}

/** Without values and names. */
function shapeOf({ waits, unwaited }: Trips): unknown {
  return [waits.map((sql) => sql.map(shown)), unwaited.map(shown)]
}

/** The statements of a message by their first word. */
export function shown(sql: string): string {
  return sql
    .split(';')
    .map((statement) => /^\s*(?:with|\w+(?: prepared| transaction)?)/i.exec(statement)?.[0].trim().toLowerCase() ?? '')
    .filter(Boolean)
    .join(';')
}
