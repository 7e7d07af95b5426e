import type { Transaction } from './transaction.ts'

/**
 * What a resource owes the transaction it joined. Every method may answer at once or with a promise; the transaction
 * waits for each answer before it calls anyone else.
 *
 * A commit calls, over all data managers in the order of their sort keys and one pass after the other:
 *
 * 1. `tpcBegin`: a two-phase commit starts.
 * 2. `commit`: hand over the changes, so that only the outcome is open. Nothing may be visible to others yet.
 * 3. `tpcVote`: promise that `tpcFinish` will succeed, or throw. The last chance to object.
 * 4. `tpcFinish`: make it permanent. It must not fail; if it does, data managers may disagree for good.
 *
 * When a pass throws, `abort` goes to every data manager whose `tpcVote` has not returned, then `tpcAbort` to every one,
 * also to those never begun and to those already finished. The transaction is then failed, and whoever aborts it sends
 * `abort` once more to each. An abort calls `abort`, in the order of joining, and never `tpcAbort`.
 *
 * With `timeoutMs` of the manager, a method that has not answered in time counts as one that threw, though it may still be
 * running: what comes of a vote then has to be given up by the `tpcAbort` that is called meanwhile.
 *
 * So both `abort` and `tpcAbort` have to bear being called several times, and at any time. One `afterCommit` or
 * `afterAbort` hook means one more `abort` for each after it ended (a hook may have touched it again).
 *
 * Zope: `IDataManager`, `ISavepointDataManager`, `IRetryDataManager`.
 */
export interface DataManager {
  /** Forget all changes since the join. Called outside of a two-phase commit, and in one before the vote. */
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
   * Where this one stands in a commit: smaller keys first, compared by character code, equal ones in the order of
   * joining. Evaluated once a commit. Who votes last can still see everybody else fail.
   */
  sortKey(): string

  /** The present state as something to go back to. Without this method, only optimistic savepoints can be made. */
  savepoint?(): DataManagerSavepoint | PromiseLike<DataManagerSavepoint>

  /**
   * Its state as it joins, as something to go back to; called in the join where there are savepoints already. Without this
   * method the rollback of one of those aborts it, and it leaves the transaction. Not in Zope.
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
