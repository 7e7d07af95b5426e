import { OptimisticLockError } from '@mikro-orm/core'
import { TransientError } from '../transaction/index.ts'
import {
  CommitFencedError,
  ConnectionLostError,
  DecisionTableError,
  NoReplicaError,
  ReplicaLostError,
  TransactionAbortedError,
} from './errors.ts'

/** Serialization failure, deadlock, lock not available: PostgreSQL's SQLSTATE, and SQLite's own codes for a lock. */
const RETRYABLE_CODE = /^(?:40001|40P01|55P03|SQLITE_(?:BUSY|LOCKED)(?:_\w+)?)$/

const WORTH_ANOTHER_TRY = [
  TransientError,
  OptimisticLockError,
  CommitFencedError,
  ConnectionLostError,
  NoReplicaError,
  ReplicaLostError,
]

/**
 * Whether running the same work again may well succeed: decided from SQLSTATE, SQLite's code or the class, never from
 * text.
 *
 * True for a TransientError, serialization failures, deadlocks, lock timeouts, SQLITE_BUSY, SQLITE_LOCKED and
 * optimistic locks. True for a connection lost before COMMIT was sent, and for a commit that recovery gave up. True for
 * a transaction that could not commit because of one of these. True where the table for decisions was dropped
 * meanwhile, which the next commit makes again.
 */
export function isRetryable(error: unknown): boolean {
  if (WORTH_ANOTHER_TRY.some((each) => error instanceof each)) return true
  if (error instanceof DecisionTableError) return error.wasThere || isRetryable(error.cause)
  if (error instanceof TransactionAbortedError) return isRetryable(error.cause)
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' && RETRYABLE_CODE.test(code)
}
