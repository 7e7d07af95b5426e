/** What the parent and the workers send each other. */

/** The parent's: what to store, or what to look for. */
export type Order =
  | { readonly do: 'write'; readonly user: number }
  | { readonly do: 'read'; readonly user: number; readonly value: number; readonly after: string | undefined }
  | { readonly do: 'report' }

/** A worker's. */
export type Answer =
  | { readonly did: 'ready' }
  | { readonly did: 'write'; readonly user: number; readonly value: number; readonly after: string | undefined }
  | { readonly did: 'failed write'; readonly user: number; readonly error: string }
  | { readonly did: 'read'; readonly user: number; readonly reads: number }
  | { readonly did: 'report'; readonly report: Report }

export interface Report {
  readonly reads: number
  /** Reads that showed less than what their client had committed. */
  readonly stale: number
  /** Reads that showed a state older than maxLagMs. */
  readonly old: number
  readonly errors: Readonly<Record<string, number>>
  readonly served: { readonly replicas: number; readonly primary: number }
  readonly moved: number
  readonly fallbacks: Readonly<Record<string, number>>
  readonly slowestMs: number
}

/** Where the servers are, in the environment of a worker. */
export interface Places {
  readonly primary: string
  /** Of the reader's primary and replicas; with PgBouncer it is in between. */
  readonly reader: string
  readonly replicas: readonly string[]
}

export const MAX_LAG_MS = 2000
/** How often a position is read with, after one write. */
export const READS_AFTER_WRITE = 20
