import type { QueryResult } from 'pg'
import { ConnectionLostError } from '../errors.ts'
import { parsePosition, type WalPosition } from '../wal-position.ts'

/**
 * Asks a server how far it is, in a transaction of its own in front of the one that reads. In the same transaction, or the same
 * statement, the snapshot would be older than the answer. BEGIN and COMMIT are there for servers whose transactions are
 * REPEATABLE READ by default: a bare SELECT would be in one with what follows.
 */
export const CHECK = [
  'begin',
  'select pg_catalog.pg_last_wal_replay_lsn()::text as position, pg_catalog.pg_is_in_recovery() as recovering',
  'commit',
]
/** Which of the results is the answer. */
const ANSWER = 1

/** What a server has said of itself. */
export interface ReplicaAnswer {
  readonly position: WalPosition
  /** Whether it follows another one. A server that was promoted keeps the position where it did. */
  readonly isInRecovery: boolean
  /** When it was asked, by `performance.now()`. The answer may have come much later: it waits for the statement behind it. */
  readonly askedAt: number
}

/** The answer to {@link CHECK}, sent at `askedAt`; undefined where the server did not get to it. */
export function answerIn(results: readonly QueryResult[], askedAt: number): ReplicaAnswer | undefined {
  const row = results[ANSWER]?.rows[0] as { readonly position: string | null; readonly recovering: boolean } | undefined
  if (row === undefined || results.length <= ANSWER + 1) return undefined
  return { position: parsePosition(row.position) ?? 0n, isInRecovery: row.recovering, askedAt }
}

/** Shutting down, crashed, not up yet, idle for too long. */
const GONE: readonly unknown[] = ['57P01', '57P02', '57P03', '57P05']
/** What was read had to make way for what the server replays. */
const CONFLICTS: readonly unknown[] = ['40001', '40P01']

/** Why a statement failed only because of the server it was sent to; undefined where another would answer the same. */
export function troubleOf(error: unknown): 'down' | 'conflict' | undefined {
  const cause: unknown = error instanceof ConnectionLostError ? error.cause : error
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  if (CONFLICTS.includes(code)) return 'conflict'
  return error instanceof ConnectionLostError || GONE.includes(code) ? 'down' : undefined
}
