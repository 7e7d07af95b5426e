import { setImmediate as turn } from 'node:timers/promises'
import type { PoolOfClients } from './side-connection.ts'

/** How often is looked, beside the events of the pool: it has none for a connection that could not be opened. */
const LOOK_MS = 100

/** Waits until all clients of `pool` are given back, and nobody waits for one: a pool that is ended lets them wait for ever. */
export async function drained(pool: PoolOfClients): Promise<void> {
  for (;;) {
    // Code that has just got hold of the pool takes its client meanwhile, and one that is released becomes idle.
    await turn()
    if (pool.waitingCount === 0 && pool.idleCount === pool.totalCount) return
    await released(pool)
  }
}

/** Ends a pool that Kysely has not ended: it does so only where it has sent a statement over it. */
export async function ended(pool: PoolOfClients): Promise<void> {
  if (!pool.ending) await pool.end()
}

function released(pool: PoolOfClients): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      pool.off('release', done)
      resolve()
    }
    const timer = setTimeout(done, LOOK_MS)
    pool.on('release', done)
  })
}
