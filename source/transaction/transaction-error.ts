import { SqlassistError } from './sqlassist-error.ts'

/** Every `code` an error of the transaction core can have: a closed set, so that a `switch` over it can be complete. */
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
