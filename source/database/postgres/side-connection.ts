import type { Client, PoolClient } from 'pg'
import type { CancelOptions } from './cancel-request.ts'
import type { PoolReport } from '../pool-report.ts'

export interface PoolOfClients {
  readonly Client: new (options: object) => Client
  readonly options: CancelOptions & {
    readonly password?: unknown
    readonly max?: number
    /** Both are called for new clients. */
    readonly onConnect?: (client: PoolClient) => unknown
    readonly verify?: unknown
  }
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  /** All that are open or being opened: private, see tests/mikro-orm. */
  readonly _clients: readonly object[]
  /** Whether it was ended. */
  readonly ending: boolean
  connect(): Promise<PoolClient>
  end(): Promise<void>
  listenerCount(event: 'connect'): number
  on(event: 'connect' | 'release', listener: (...args: any[]) => void): unknown
  off(event: 'release', listener: () => void): unknown
}

/** pg-pool's own. */
export const DEFAULT_POOL_MAX = 10

export const LIMITS = { connectionTimeoutMillis: 5000, query_timeout: 30_000 }

/**
 * Does `work` over a connection of its own. The pool may have none to spare just when one is needed, or everybody who
 * holds one waits for the answer.
 */
export async function aside<T>({ Client, options }: PoolOfClients, work: (client: Client) => Promise<T>): Promise<T> {
  // The password of a pool is not enumerable.
  const client = new Client({ ...LIMITS, ...options, password: options.password })
  // The query under way, if there is one, rejects with this error.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

export function reportOfPool({ options, totalCount, idleCount, waitingCount }: PoolOfClients): PoolReport {
  return { max: options.max ?? DEFAULT_POOL_MAX, total: totalCount, idle: idleCount, waiting: waitingCount }
}
