import { labelOf, named } from './describe.ts'
import type { TransactionStatus } from './transaction-status.ts'

/**
 * The root class of every error this library throws.
 *
 * `code` is a stable string (`SQLASSIST_...`) to decide by; `cause` is the error beneath, if there is one. A subclass
 * gives its name on the prototype and its code as a field:
 *
 * ```ts
 * export class ReadOnlySessionError extends SqlassistError {
 *   static {
 *     this.prototype.name = 'ReadOnlySessionError'
 *   }
 *   override readonly code = 'SQLASSIST_READ_ONLY_SESSION'
 * }
 * ```
 */
export class SqlassistError extends Error {
  static {
    // The prototype carries the name, so that stacks and printed objects show it without an own property.
    this.prototype.name = 'SqlassistError'
  }
  /** A stable string to decide by, `SQLASSIST_…`; docs/errors.md lists all of them. */
  readonly code: string = 'SQLASSIST_ERROR'
}

/** Every `code` that an error of the transaction core can have; a `switch` over them can be complete. */
export const transactionErrorCodes = [
  'SQLASSIST_ALREADY_IN_TRANSACTION',
  'SQLASSIST_ATTEMPTS_COUNT',
  'SQLASSIST_CALL_TIMEOUT',
  'SQLASSIST_COMMIT_STATUS',
  'SQLASSIST_CONCURRENT_CALL',
  'SQLASSIST_DOOM_STATUS',
  'SQLASSIST_FOREIGN_TRANSACTION',
  'SQLASSIST_INVALID_SAVEPOINT',
  'SQLASSIST_INVALID_TIMEOUT',
  'SQLASSIST_JOIN_STATUS',
  'SQLASSIST_NO_DATA',
  'SQLASSIST_NO_SORT_KEY',
  'SQLASSIST_NO_TRANSACTION',
  'SQLASSIST_SAVEPOINT_STATUS',
  'SQLASSIST_SAVEPOINT_UNSUPPORTED',
  'SQLASSIST_TRANSACTION_DOOMED',
  'SQLASSIST_TRANSACTION_ENDED',
  'SQLASSIST_TRANSACTION_FAILED',
  'SQLASSIST_TRANSIENT',
  'SQLASSIST_UNKNOWN_SYNCHRONIZER',
  'SQLASSIST_USER_NULL',
] as const

/** One of {@link transactionErrorCodes}. */
export type TransactionErrorCode = (typeof transactionErrorCodes)[number]

/** The root of the errors of the transaction core. Zope: `TransactionError`. */
export class TransactionError extends SqlassistError {
  static {
    this.prototype.name = 'TransactionError'
  }
}

/**
 * The transaction failed earlier, in a commit, a savepoint or a rollback, and can only be aborted.
 *
 * Thrown by `commit`, `join` and `savepoint`; `cause` is the error it failed with.
 * Zope: `TransactionFailedError`, which carries the report of the original failure.
 */
export class TransactionFailedError extends TransactionError {
  static {
    this.prototype.name = 'TransactionFailedError'
  }
  override readonly code = 'SQLASSIST_TRANSACTION_FAILED'
}

/** A doomed transaction was to be committed. Nothing was called; abort it. Zope: `DoomedTransaction`. */
export class DoomedTransactionError extends TransactionError {
  static {
    this.prototype.name = 'DoomedTransactionError'
  }
  override readonly code = 'SQLASSIST_TRANSACTION_DOOMED'
}

/**
 * The work failed for a reason that may be gone at the next try: `run` and `attempts` try again after it.
 *
 * Throw it, or a subclass, as `new TransientError('the row was locked', { cause: error })`. Zope: `TransientError`.
 */
export class TransientError extends TransactionError {
  static {
    this.prototype.name = 'TransientError'
  }
  override readonly code: string = 'SQLASSIST_TRANSIENT'
}

/** A savepoint was rolled back that was no longer valid. Zope: the same name. */
export class InvalidSavepointRollbackError extends TransactionError {
  static {
    this.prototype.name = 'InvalidSavepointRollbackError'
  }
  override readonly code = 'SQLASSIST_INVALID_SAVEPOINT'
}

/** An explicit manager was asked for its transaction, and none is begun. Zope: `NoTransaction`. */
export class NoTransactionError extends TransactionError {
  static {
    this.prototype.name = 'NoTransactionError'
  }
  override readonly code = 'SQLASSIST_NO_TRANSACTION'
}

/** An explicit manager was to begin inside a transaction. Zope: `AlreadyInTransaction`. */
export class AlreadyInTransactionError extends TransactionError {
  static {
    this.prototype.name = 'AlreadyInTransactionError'
  }
  override readonly code = 'SQLASSIST_ALREADY_IN_TRANSACTION'
}

/**
 * The transaction has ended, by commit or abort, and can do nothing more; begin a new one.
 *
 * `operation` is the refused method, `status` the state at the end, `outcome` whether it was committed or aborted, `cause`
 * the error it failed with. Zope lets some such calls through.
 */
export class TransactionEndedError extends TransactionError {
  static {
    this.prototype.name = 'TransactionEndedError'
  }
  override readonly code = 'SQLASSIST_TRANSACTION_ENDED'
  /** The method that was refused. */
  readonly operation: string
  /** The state the transaction ended in. */
  readonly status: TransactionStatus
  /** Whether it was committed or aborted. */
  readonly outcome: 'committed' | 'aborted'

  constructor(
    operation: string,
    transaction: { readonly status: TransactionStatus; readonly description: string },
    options?: ErrorOptions,
  ) {
    const { status } = transaction
    const outcome = status === 'Committed' ? 'committed' : 'aborted'
    super(
      `${operation}: ${named(transaction)} has already been ${outcome} (status ${status}) and can do nothing more; ` +
        'begin a new one with manager.begin() and use that.',
      options,
    )
    this.operation = operation
    this.status = status
    this.outcome = outcome
  }
}

/**
 * A call came from outside while another one on the same transaction or manager is under way.
 *
 * `operation` is the refused call, `underWay` the running one. Calls of the participants of the running one are not refused.
 */
export class ConcurrentCallError extends TransactionError {
  static {
    this.prototype.name = 'ConcurrentCallError'
  }
  override readonly code = 'SQLASSIST_CONCURRENT_CALL'
  /** The call that was refused. */
  readonly operation: string
  /** The call that is running. */
  readonly underWay: string

  constructor(operation: string, underWay: string) {
    super(
      `${operation}: refused, because ${underWay} is under way on the same transaction and has not settled; ` +
        `await ${underWay} first (a forgotten await is the usual cause).`,
    )
    this.operation = operation
    this.underWay = underWay
  }
}

/**
 * A data manager, hook or synchronizer did not answer within the manager's `timeoutMs`.
 *
 * The timeout counts as the error of that call: of `method` on `participant`.
 */
export class CallTimeoutError extends TransactionError {
  static {
    this.prototype.name = 'CallTimeoutError'
  }
  override readonly code = 'SQLASSIST_CALL_TIMEOUT'
  /** The method that was called. */
  readonly method: string
  /** The data manager, hook or synchronizer that was called. */
  readonly participant: object
  /** The time limit, in milliseconds. */
  readonly timeoutMs: number

  constructor(method: string, participant: object, timeoutMs: number) {
    super(
      `${method} of ${labelOf(participant)} did not settle within ${timeoutMs} ms and is given up as failed; ` +
        'what it still does is unknown. Find out why it hangs, or raise timeoutMs of the TransactionManager.',
    )
    this.method = method
    this.participant = participant
    this.timeoutMs = timeoutMs
  }
}

/** A savepoint, or its rollback, needs a data manager that has no `savepoint` method. Zope: `TypeError("Savepoints unsupported")`. */
export class SavepointUnsupportedError extends TransactionError {
  static {
    this.prototype.name = 'SavepointUnsupportedError'
  }
  override readonly code = 'SQLASSIST_SAVEPOINT_UNSUPPORTED'
}

/** The codes of a {@link TransactionUsageError}. */
export type TransactionUsageCode = Extract<
  TransactionErrorCode,
  | 'SQLASSIST_ATTEMPTS_COUNT'
  | 'SQLASSIST_COMMIT_STATUS'
  | 'SQLASSIST_DOOM_STATUS'
  | 'SQLASSIST_FOREIGN_TRANSACTION'
  | 'SQLASSIST_INVALID_TIMEOUT'
  | 'SQLASSIST_JOIN_STATUS'
  | 'SQLASSIST_NO_DATA'
  | 'SQLASSIST_NO_SORT_KEY'
  | 'SQLASSIST_SAVEPOINT_STATUS'
  | 'SQLASSIST_UNKNOWN_SYNCHRONIZER'
  | 'SQLASSIST_USER_NULL'
>

/** The library was called in a way, or at a time, that cannot be right; `code` says which. Zope: its `ValueError` and `KeyError`. */
export class TransactionUsageError extends TransactionError {
  static {
    this.prototype.name = 'TransactionUsageError'
  }
  override readonly code: TransactionUsageCode

  constructor(code: TransactionUsageCode, message: string) {
    super(message)
    this.code = code
  }
}
