/** A pool of connections, counted. */
export interface PoolReport {
  /** How many connections it may open. */
  readonly max: number
  /** How many are open. */
  readonly total: number
  /** How many of those nobody uses. */
  readonly idle: number
  /** How many callers wait for one. */
  readonly waiting: number
}

/** Whether to ask for a connection now is to wait until another one is given back. */
export function isExhausted(pool: PoolReport | undefined): boolean {
  return pool !== undefined && pool.idle + pool.max - pool.total <= pool.waiting
}
