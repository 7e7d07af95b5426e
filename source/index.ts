export * from './transaction/index.ts'
export type { RawWrites, SessionState } from './session/session.ts'
export {
  CommitOutcomeUnknownError,
  CommittedTooEarlyError,
  ConnectionLostError,
  ForeignEntityError,
  ManagedSessionError,
  NotASessionError,
  OutsideTransactionError,
  ReadOnlySessionError,
  SessionEndedError,
  SharedFileError,
  TransactionAbortedError,
  UnmarkedWriteError,
} from './session/errors.ts'
export { markChanged } from './session/mark-changed.ts'
export { isRetryable } from './session/retryable.ts'
export { copyTo } from './model/copy-to.ts'
export { NotAnEntityError } from './model/errors.ts'
export { requestOf, sessionOf } from './model/session-of.ts'
export type { CommitMode, EngineOptions } from './engine/engine-options.ts'
export type { DbSessionsContainer, Engines, EntityManagerOf, RoleStatus } from './engine/db-sessions-container.ts'
export {
  EngineRegistry,
  type DetachedSession,
  type EngineRegistryOptions,
  type RunContext,
  type RunOptions,
} from './engine/engine-registry.ts'
export {
  ConfigurationError,
  NotRetriedError,
  PartialCommitError,
  RegistryClosedError,
  TransactionsDisabledError,
  UnitOfWorkEndedError,
  UnknownRoleError,
} from './engine/errors.ts'
export { dbSessions, type DbSessionsContext } from './koa/db-sessions.ts'
export type { DbSessionsOptions } from './koa/db-sessions-options.ts'
export { defaultCommitVeto, serverErrorVeto, type CommitVeto } from './koa/commit-veto.ts'
export { AnsweredTooEarlyError, ClientDisconnectedError } from './koa/errors.ts'
