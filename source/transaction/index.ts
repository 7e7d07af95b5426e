export type { DataManager, DataManagerSavepoint } from './data-manager.ts'
export {
  AlreadyInTransactionError,
  CallTimeoutError,
  ConcurrentCallError,
  DoomedTransactionError,
  InvalidSavepointRollbackError,
  NoTransactionError,
  SavepointUnsupportedError,
  SqlassistError,
  TransactionEndedError,
  TransactionError,
  type TransactionErrorCode,
  transactionErrorCodes,
  TransactionFailedError,
  TransactionUsageError,
  type TransactionUsageCode,
  TransientError,
} from './errors.ts'
export type { AfterCommitHook, Hook, HookEntry, HookKind } from './hooks.ts'
export type { Attempt, RunOptions } from './retrier.ts'
export type { Savepoint } from './savepoints.ts'
export type { Synchronizer } from './synchronizers.ts'
export type {
  BeginMessage,
  CallMessage,
  HooksMessage,
  JoinMessage,
  RollbackMessage,
  TransactionMessage,
} from './transaction-channels.ts'
export { TransactionManager, type TransactionManagerOptions } from './transaction-manager.ts'
export { type TransactionStatus, transactionStatuses } from './transaction-status.ts'
export { Transaction } from './transaction.ts'
export type { OnSuppressedError, Suppressed, SuppressedWhere } from './warnings.ts'
