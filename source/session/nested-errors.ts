import { SqlassistError } from '../transaction/index.ts'

/**
 * Two calls of `em.transactional()`, each inside of another on the other's session, would wait for each other for ever.
 * The one that came last is refused, and nothing of it was done.
 */
export class NestedTransactionDeadlockError extends SqlassistError {
  static {
    this.prototype.name = 'NestedTransactionDeadlockError'
  }
  override readonly code = 'SQLASSIST_NESTED_TRANSACTION_DEADLOCK'

  constructor(role: string) {
    super(
      `em.transactional() of role "${role}" would wait for one that is under way on its session, and that one waits for ` +
        `one that this call is inside of. Nest them in the same order everywhere, or await one before the other.`,
    )
  }
}

/**
 * A nested `em.transactional()` went on when the one that it was called in had ended already, which has decided about both.
 * Nothing was sent.
 */
export class NestedTransactionEndedError extends SqlassistError {
  static {
    this.prototype.name = 'NestedTransactionEndedError'
  }
  override readonly code = 'SQLASSIST_NESTED_TRANSACTION_ENDED'

  constructor(role: string) {
    super(
      `em.transactional() of role "${role}" went on when the one around it had ended already. Await the inner one before ` +
        `the callback of the outer one returns.`,
    )
  }
}

/**
 * The session or a savepoint of the transaction was rolled back, or a savepoint was made, during an
 * `em.transactional()`. That one's own savepoint would have been pulled from under it. Or the session ended during a
 * transaction that `em.begin()` had begun.
 */
export class NestedTransactionOpenError extends SqlassistError {
  static {
    this.prototype.name = 'NestedTransactionOpenError'
  }
  override readonly code = 'SQLASSIST_NESTED_TRANSACTION_OPEN'

  constructor(role: string, what: string, by: 'em.begin()' | 'em.transactional()' = 'em.transactional()') {
    super(
      by === 'em.begin()'
        ? `${what} came while a transaction of em.begin() is open on the session of role "${role}"; it was rolled back. ` +
            `Call em.commit() or em.rollback() before.`
        : `${what} was called while em.transactional() is under way on the session of role "${role}". Await it first, ` +
            `and leave its callback; inside of it em.transactional() nests once more.`,
    )
  }
}

/**
 * `em.transactional()` or `em.begin()` was given an `isolationLevel` or `readOnly` that its transaction cannot have any more, or
 * at all. Nothing was sent.
 */
export class TransactionOptionsError extends SqlassistError {
  static {
    this.prototype.name = 'TransactionOptionsError'
  }
  override readonly code = 'SQLASSIST_TRANSACTION_OPTIONS'

  constructor(role: string, what: string, option: string, fix: string) {
    super(`${what} of role "${role}" cannot have ${option}. ${fix}`)
  }
}

/**
 * A statement would have written while a transaction with `readOnly: true` was under way in its session. Nothing was sent, or
 * PostgreSQL refused it, whose error is `cause`.
 */
export class ReadOnlyTransactionError extends SqlassistError {
  static {
    this.prototype.name = 'ReadOnlyTransactionError'
  }
  override readonly code = 'SQLASSIST_READ_ONLY_TRANSACTION'

  constructor(role: string, what: string, cause?: unknown) {
    super(
      `The transaction that is under way in the session of role "${role}" has readOnly: true, and ${what}. ` +
        `Write after the end of it, or leave readOnly out.`,
      cause === undefined ? undefined : { cause },
    )
  }
}
