import type { CarriedOut } from './carried-out.ts'
import type { CommitPositions } from './commit-position.ts'

/** How a transaction begins and ends. */
export interface TransactionPlan {
  readonly role: string
  /** Begins the transaction: it travels with the first statement. */
  readonly start: readonly string[]
  /** Whether READ ONLY is part of that. */
  readonly isReading: boolean
  /** Given where replicas are to show what it commits: COMMIT is sent with the question where it is. */
  readonly positions?: CommitPositions | undefined
  /** Gets what was carried out of what begins it, and the error behind that; throws where it is not to go on. */
  readonly assertStarted?: ((carried: CarriedOut, error?: unknown) => void) | undefined
}

const NOTHING: readonly string[] = []
/** What has to come before the first query, and gives the transaction its snapshot. */
const IMPORTS_SNAPSHOT = /^set transaction snapshot '[^']*';?$/i

/**
 * What is sent in front of `sql`, and of what comes ahead of that, where nothing was sent yet. PostgreSQL lets READ ONLY be taken
 * back until the first query.
 */
export function startBefore(
  start: readonly string[] = NOTHING,
  isReading: boolean,
  sql: string,
  ahead: string,
): readonly string[] {
  if (!isReading || start.length === 0) return start
  const isQuery = ahead !== '' || sql.startsWith('select ') || IMPORTS_SNAPSHOT.test(sql)
  return isQuery ? start : [...start, 'select']
}
