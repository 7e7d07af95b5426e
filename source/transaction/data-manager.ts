import type { Transaction } from './transaction.ts'

/**
 * The duties of a resource to the transaction it joined.
 *
 * Every method may answer at once or with a promise; the transaction waits for each answer before its next call.
 *
 * A commit makes four passes over all data managers, in the order of their sort keys:
 *
 * 1. `tpcBegin`: a two-phase commit starts.
 * 2. `commit`: hand over the changes, so that only the outcome is open. Nothing may be visible to others yet.
 * 3. `tpcVote`: promise that `tpcFinish` will succeed, or throw. The last chance to object.
 * 4. `tpcFinish`: make it permanent. It must not fail; if it does, data managers may disagree for good.
 *
 * When a pass throws, every data manager whose `tpcVote` has not returned gets `abort`; then all get `tpcAbort`, including
 * those never begun and those already finished. The transaction is then failed, and its abort calls `abort` once more.
 * An abort calls `abort`, in the order of joining, and never `tpcAbort`.
 *
 * With `timeoutMs` of the manager, a method that does not answer in time counts as one that threw, but may still be running:
 * the `tpcAbort` called meanwhile has to give up a vote that comes later.
 *
 * Both `abort` and `tpcAbort` therefore have to bear several calls, at any time. `afterCommit` and `afterAbort` hooks cause one
 * more `abort` of each data manager after the end, since a hook may have touched it again.
 *
 * Zope: `IDataManager`, `ISavepointDataManager`, `IRetryDataManager`.
 */
export interface DataManager {
  /** The name that the debug panel shows. Default: the name of the class. Not in Zope. */
  readonly label?: string | undefined

  /** Forget all changes since the join. Called outside of a two-phase commit, and inside one before the vote. */
  abort(transaction: Transaction): void | PromiseLike<void>

  /** A two-phase commit starts; nothing has to be done yet. */
  tpcBegin(transaction: Transaction): void | PromiseLike<void>

  /** Hand over the changes, so that only the outcome is open; nothing may be visible to others yet. May throw. */
  commit(transaction: Transaction): void | PromiseLike<void>

  /** Promise that `tpcFinish` will succeed, or throw: the last chance to object. */
  tpcVote(transaction: Transaction): void | PromiseLike<void>

  /** Make it permanent. It must not throw: others are finished already. */
  tpcFinish(transaction: Transaction): void | PromiseLike<void>

  /** Give up a two-phase commit, voted or not. */
  tpcAbort(transaction: Transaction): void | PromiseLike<void>

  /**
   * The place in a commit: smaller keys first, compared by character code, equal ones in the order of joining.
   *
   * Evaluated once a commit. The last to vote can still see all others fail.
   */
  sortKey(): string

  /** Makes a savepoint of the present state. Without this method, only optimistic savepoints can be made. */
  savepoint?(): DataManagerSavepoint | PromiseLike<DataManagerSavepoint>

  /**
   * Makes a savepoint of the state at the join; called in the join if there are savepoints already.
   *
   * Without this method, the rollback of an earlier savepoint aborts the data manager, which leaves the transaction. Not in Zope.
   */
  savepointAtJoin?(): DataManagerSavepoint

  /** Whether trying the whole transaction again may help after this error. Asked by `run`, `attempts` and `isRetryableError`. */
  shouldRetry?(error: unknown): boolean | PromiseLike<boolean>
}

/** One data manager's part of a savepoint. Zope: `IDataManagerSavepoint`. */
export interface DataManagerSavepoint {
  /** Goes back to the state of the savepoint. May be called more than once. */
  rollback(): void | PromiseLike<void>
}
