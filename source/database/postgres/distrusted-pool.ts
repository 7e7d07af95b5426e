import type { PoolClient } from 'pg'
import type { PoolOfClients } from './side-connection.ts'

/** By pool: the clients that it has opened since a server turned out to be read-only. */
const opened = new WeakMap<PoolOfClients, { since: WeakSet<PoolClient> }>()

/** How many listeners to new clients of it `pool` has from here. */
export function listenersOf(pool: PoolOfClients): number {
  return opened.has(pool) ? 1 : 0
}

/**
 * Has `pool` close the clients that it has by now, as soon as it would give one out: they lead to a server that cannot write
 * any more, as the old primary after a failover.
 */
export function distrust(pool: PoolOfClients): void {
  const known = opened.get(pool)
  if (known !== undefined) {
    known.since = new WeakSet()
    return
  }
  const trusted = { since: new WeakSet<PoolClient>() }
  opened.set(pool, trusted)
  pool.on('connect', (client) => trusted.since.add(client))
  const connect: (...args: unknown[]) => Promise<PoolClient> = pool.connect.bind(pool)
  pool.connect = async function trusting(...args: unknown[]): Promise<PoolClient> {
    // pg's pool calls it with a callback.
    if (args.length > 0) return await connect(...args)
    for (;;) {
      const client = await connect()
      if (trusted.since.has(client)) return client
      client.release(true)
    }
  }
}
