export type { Attempt } from './attempt.ts'
export type { BeginMessage, CallMessage, JoinMessage, RollbackMessage, TransactionMessage } from './channels.ts'
export type { DataManager, DataManagerSavepoint } from './data-manager.ts'
export type { AfterCommitHook, Hook, HookEntry } from './hook.ts'
export type { RunOptions } from './retrier.ts'
export type { Savepoint } from './savepoint.ts'
export { SqlassistError } from './sqlassist-error.ts'
export type { OnSuppressedError, Suppressed, SuppressedWhere } from './suppressed.ts'
export type { Synchronizer } from './synchronizer.ts'
export { TransactionError, type TransactionErrorCode, transactionErrorCodes } from './transaction-error.ts'
export {
  AlreadyInTransactionError,
  CallTimeoutError,
  ConcurrentCallError,
  DoomedTransactionError,
  InvalidSavepointRollbackError,
  NoTransactionError,
  SavepointUnsupportedError,
  TransactionEndedError,
  TransactionFailedError,
  TransactionUsageError,
  type TransactionUsageCode,
  TransientError,
} from './transaction-errors.ts'
export { TransactionManager, type TransactionManagerOptions } from './transaction-manager.ts'
export { type TransactionStatus, transactionStatuses } from './transaction-status.ts'
export { Transaction } from './transaction.ts'
