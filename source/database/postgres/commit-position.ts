import { parsePosition, type WalPosition } from '../wal-position.ts'
import type { CarriedOut } from './carried-out.ts'
import type { Aside } from './postgres-decisions.ts'

/** Those who want to know where commits are. */
export interface CommitPositions {
  /** Asks for the position of a commit that brought none. Undefined where nobody can be asked. Never rejects. */
  ask(): Promise<WalPosition | undefined>
  /** Takes over where a commit is. */
  heard(position: WalPosition): void
}

/**
 * To be sent behind COMMIT in the same string: a round trip later there may be records of others behind it, which nobody
 * writes out. What is written or flushed by then may be less, where synchronous_commit is off.
 */
export const POSITION =
  `select pg_catalog.pg_current_wal_insert_lsn()::text as position, ` +
  `pg_catalog.current_setting('wal_block_size') as page`

interface PositionRow {
  readonly position: string
  readonly page: string
}

const PAGE = 8192n
/** The header of a page. A record that ends with its page has the next one begun by it, before anything is written there. */
const HEADER = 24n

/** What {@link POSITION} answered behind a COMMIT; undefined where it did not get to that. */
export function positionBehindCommit(carried: CarriedOut): WalPosition | undefined {
  const row = carried.results[carried.indexOf('COMMIT') + 1]?.rows[0] as PositionRow | undefined
  return row === undefined ? undefined : positionOf(row)
}

export function positionOf({ position, page }: PositionRow): WalPosition | undefined {
  const parsed = parsePosition(position)
  const isBehindHeader = parsed !== undefined && page === String(PAGE) && parsed % PAGE === HEADER
  return isBehindHeader ? parsed - HEADER : parsed
}

/** Asks over a connection of its own. It may answer with a little more, of others. Undefined where it cannot; never rejects. */
export async function askPosition(aside: Aside): Promise<WalPosition | undefined> {
  try {
    return await aside(async (client) => {
      const { rows } = await client.query<PositionRow>(POSITION)
      return rows[0] && positionOf(rows[0])
    })
  } catch {
    return undefined
  }
}
