export * from './transaction/index.ts'
export type { RawWrites } from './session/raw-writes.ts'
export type { SessionState } from './session/session-state.ts'
export {
  CannotPrepareError,
  CommitFencedError,
  CommitOutcomeUnknownError,
  ConnectionDeadlockError,
  ConnectionLostError,
  DecisionTableError,
  EndedByStatementError,
  NoReplicaError,
  ReplicaLostError,
  TransactionAbortedError,
} from './database/errors.ts'
export {
  CommittedTooEarlyError,
  EndlessFlushError,
  ForeignEntityError,
  ManagedSessionError,
  NotASessionError,
  OutsideTransactionError,
  ReadOnlySessionError,
  SessionContextError,
  SessionEndedError,
  SessionFailedError,
  UndoneFromOutsideError,
  UnmarkedWriteError,
} from './session/errors.ts'
export { SharedFileError, StreamUnderWayError } from './role/errors.ts'
export { DECISION_TABLE, DECISION_TABLE_SQL } from './database/decisions.ts'
export { markChanged } from './session/mark-changed.ts'
export {
  NestedTransactionDeadlockError,
  NestedTransactionEndedError,
  NestedTransactionOpenError,
  ReadOnlyTransactionError,
  TransactionOptionsError,
} from './session/nested-errors.ts'
export { DetachedEntityError, EntityNotRestoredError } from './memory/stray-entities.ts'
export { isRetryable } from './database/retryable.ts'
export { ConventionNamingStrategy } from './model/convention-naming-strategy.ts'
export { copyTo } from './model/copy-to.ts'
export { DeclaredTable } from './model/declared-table.ts'
export { MoreThanOneError, NotAnEntityError, QueryArgumentError, UnknownColumnError } from './model/errors.ts'
export {
  getByColumnExactThenIlike,
  getByColumnLower,
  getByColumnSimilar,
  type ManyByColumn,
  type OneByColumn,
  type SimilarOptions,
} from './model/get-by-column.ts'
export { getById, getByIds, type ByIdOptions } from './model/get-by-id.ts'
export { getRange, type RangeOptions } from './model/get-range.ts'
export type { Column, IdColumn, IdIn, TextColumn } from './model/known-column.ts'
export { requestOf, sessionOf } from './model/session-of.ts'
export { UtilityRepository } from './model/utility-repository.ts'
export type { CommitMode, EngineOptions, TwoPhase } from './role/engine-options.ts'
export type { ReplicaOf, ReplicaOptions } from './role/replica-options.ts'
export type {
  FallbackReason,
  Fallbacks,
  PositionOrigin,
  ReplicaReport,
  ReplicaRules,
  ReplicaState,
  ServedBy,
} from './database/replicas.ts'
export type {
  PositionDroppedMessage,
  ReplicaFallbackMessage,
  ReplicaStateMessage,
} from './database/replica-channels.ts'
export { positionOf } from './unit/position-of.ts'
export {
  DbSessionsContainer,
  type ContainerClass,
  type DefaultRole,
  type Engines,
  type EntityManagerOf,
  type RoleStatus,
} from './unit/db-sessions-container.ts'
export { EngineRegistry } from './registry/engine-registry.ts'
export type { DetachedSession } from './registry/role-types.ts'
export type { RunContext, RunOptions } from './unit/run.ts'
export type { PreparedReport, RegistryReport, RoleReport } from './registry/registry-report.ts'
export type { PoolReport } from './database/pool-report.ts'
export type { AbortReason } from './unit/unit-channels.ts'
export type { RegistryCloseMessage, UnitEndMessage, UnitMessage } from './registry/registry-messages.ts'
export type {
  EntityChange,
  FlushMessage,
  SessionCloseMessage,
  SessionMessage,
  StatementMessage,
  TransactionEndMessage,
} from './session/session-channels.ts'
export type { Atomic } from './atomic/commit-planner.ts'
export type { RecoverOptions } from './atomic/recovery-schedule.ts'
export type { InDoubt, LeftInDoubt, RecoveryReport } from './atomic/recovery.ts'
export type { EngineRegistryOptions } from './registry/registry-options.ts'
export { ConfigurationError, UnitOfWorkEndedError } from './role/errors.ts'
export { NotAtomicError, PartialCommitError } from './atomic/errors.ts'
export { InvalidPositionError, NotRetriedError, TransactionsDisabledError } from './unit/errors.ts'
export { RegistryClosedError, RegistryCloseTimeoutError, UnknownRoleError } from './registry/errors.ts'
export { dbSessions, type DbSessionsContext } from './koa/db-sessions.ts'
export type { DbSessionsOptions } from './koa/db-sessions-options.ts'
export { positionHeader, type PositionCarrier, type ReadYourWrites } from './koa/position-carrier.ts'
export { defaultCommitVeto, serverErrorVeto, type CommitVeto } from './koa/commit-veto.ts'
export { AnsweredTooEarlyError, ClientDisconnectedError } from './koa/errors.ts'
