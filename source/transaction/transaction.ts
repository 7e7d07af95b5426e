import { abort } from './abort.ts'
import { commit } from './commit.ts'
import type { DataManager } from './data-manager.ts'
import { TransientError } from './errors.ts'
import type { AfterCommitHook, Hook, HookEntry } from './hooks.ts'
import { type Savepoint, takeSavepoint } from './savepoints.ts'
import { abortChannel, commitChannel, savepointChannel, traced } from './transaction-channels.ts'
import { type OwningManager, TransactionCore } from './transaction-core.ts'
import type { TransactionStatus } from './transaction-status.ts'
import type { Suppressed } from './warnings.ts'

/** Opens a transaction to the other files of this room. */
export let coreOf: (transaction: Transaction) => TransactionCore

/**
 * One unit of work over any number of data managers, which it commits in two phases or aborts, all of them.
 *
 * A manager makes it: `await manager.begin()`. After a commit or an abort it has *ended*: status, user and description can still
 * be read; methods that would change it throw {@link TransactionEndedError} (SQLASSIST_TRANSACTION_ENDED).
 *
 * While a commit, abort, savepoint or rollback is under way, the participants it calls may call back, by Zope's rules. Such a
 * call from elsewhere is refused with {@link ConcurrentCallError} (SQLASSIST_CONCURRENT_CALL), except `abort`, see there.
 * The asynchronous context separates the two: code that a participant runs without that context counts as elsewhere.
 *
 * Methods that call participants throw their errors as the same objects, and {@link CallTimeoutError} (SQLASSIST_CALL_TIMEOUT)
 * when a participant does not answer in time. Zope: `ITransaction`.
 */
export class Transaction {
  static {
    coreOf = (transaction) => transaction.#core
  }

  readonly #core: TransactionCore

  /** For the manager. A transaction without one works, but nothing ever finds it. */
  constructor(manager?: OwningManager) {
    this.#core = new TransactionCore(this, manager)
  }

  /** The state; see {@link TransactionStatus}. An abort leaves it as it was. */
  get status(): TransactionStatus {
    return this.#core.status
  }

  /** The errors that no caller got to see, oldest first, each with where it came up. */
  get suppressedErrors(): readonly Suppressed[] {
    return this.#core.calls.suppressed
  }

  /**
   * Makes a data manager part of this transaction: from now on it is committed or aborted with it.
   *
   * Joining twice means being called twice. Allowed until the two phases of a commit begin, so also in beforeCommit hooks and
   * beforeCompletion. The rollback of an earlier savepoint aborts the data manager and takes it out of the transaction, unless
   * it has `savepointAtJoin`. Zope: `join`, allowed in the states Active and Doomed.
   *
   * From elsewhere, a join is refused while an abort or a rollback is under way, which might miss it; while a savepoint is being
   * made, the data manager counts as joined after that savepoint. `admit` of the manager may refuse it with an error of its own.
   *
   * @throws TransactionFailedError (SQLASSIST_TRANSACTION_FAILED) after a failed commit, savepoint or rollback
   * @throws TransactionUsageError (SQLASSIST_JOIN_STATUS) while the two phases of a commit run and after them
   */
  join(resource: DataManager): void {
    this.#core.join(resource)
  }

  /** For a part of a data manager that has joined. @throws as {@link join} @internal */
  assertJoinable(): void {
    this.#core.assertJoinable()
  }

  /** The number of data managers that have joined and not left by the rollback of a savepoint. 0 after the end. */
  get resourceCount(): number {
    return this.#core.resources.length
  }

  /** The outcome of a call from elsewhere that is under way, such as a commit that nobody awaited. @internal */
  get underWay(): Promise<unknown> | undefined {
    return this.#core.underWay.outsideAnswer
  }

  /**
   * Makes the work of all data managers permanent, in two phases, and ends the transaction.
   *
   * In this order: savepoints become invalid; beforeCommit hooks; `beforeCompletion` of the synchronizers; the two phases, see
   * {@link DataManager}; `afterCompletion`; afterCommit hooks with `true`; the end.
   *
   * An error before the two phases leaves nothing to undo: the transaction goes on and may be committed again. After an error
   * in them, the data managers get `abort` and `tpcAbort`, `afterCompletion` and the afterCommit hooks with `false` run, and the
   * error is thrown; the transaction is `Commit failed` and stays the current one until it is aborted.
   * An error of `afterCompletion` replaces an earlier one. After a successful commit it leaves the status `Committed`, and an
   * abort then lets go of the transaction without undoing it. Zope: `commit`, which can also commit a second time.
   *
   * A commit is not interrupted: a commit or an abort from elsewhere is refused. A participant that aborts the transaction
   * before the first `tpcFinish` makes the commit fail there, with all data managers cleaned up; later it changes nothing.
   *
   * @throws DoomedTransactionError (SQLASSIST_TRANSACTION_DOOMED) when doomed; nothing has been called
   * @throws TransactionFailedError (SQLASSIST_TRANSACTION_FAILED) when it failed earlier; nothing has been called
   * @throws TransactionUsageError (SQLASSIST_COMMIT_STATUS) while the two phases run and after them
   */
  commit(): Promise<void> {
    const core = this.#core
    return traced(commitChannel, { transaction: this }, () =>
      core.underWay.enter('commit', core.callsNobody, () => commit(core)),
    )
  }

  /**
   * Gives up the work of all data managers and ends the transaction. Allowed in every state; after an abort does nothing.
   *
   * In this order: beforeAbort hooks; savepoints become invalid; `beforeCompletion`; `abort` of the data managers in the
   * order of joining; afterAbort hooks; the manager forgets the transaction; `afterCompletion`.
   *
   * All data managers are called, also after an error in one. The first error of them or of `beforeCompletion` is thrown at the
   * end; one of an afterAbort hook or of `afterCompletion` replaces it. The transaction ends in any case. Zope: `abort`.
   *
   * From elsewhere, shares the outcome of an abort under way; waits for a savepoint, a rollback or `begin`, then aborts before
   * any other call; is refused while a commit is under way.
   *
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit, which cannot be undone
   */
  abort(): Promise<void> {
    const core = this.#core
    return (
      core.underWay.abortOutside(() => this.abort()) ??
      traced(abortChannel, { transaction: this }, () =>
        core.underWay.enter('abort', core.callsNobody, () => abort(core)),
      )
    )
  }

  /**
   * Makes sure that this transaction cannot be committed; work may go on until it is aborted. Zope: `doom`.
   *
   * Has no effect on a commit under way: refused from elsewhere, and overtaken if a hook or a synchronizer calls it.
   *
   * @throws TransactionUsageError (SQLASSIST_DOOM_STATUS) in a state other than Active and Doomed
   */
  doom(): void {
    this.#core.doom()
  }

  /** Whether {@link doom} was called and not overtaken by a commit already under way. */
  isDoomed(): boolean {
    return this.#core.status === 'Doomed'
  }

  /**
   * Makes a state of all joined data managers to go back to.
   *
   * Every data manager must have `savepoint`, unless `optimistic` is true (default false); the rollback then fails if one has
   * not. After an error the data managers get `abort` and `tpcAbort`, the transaction is `Commit failed`, and earlier savepoints
   * stay valid. Zope: `savepoint`, which can also be called once the two phases of a commit have begun.
   *
   * @throws SavepointUnsupportedError (SQLASSIST_SAVEPOINT_UNSUPPORTED) when a data manager has no `savepoint`
   * @throws TransactionFailedError (SQLASSIST_TRANSACTION_FAILED) when the transaction failed earlier
   * @throws TransactionUsageError (SQLASSIST_SAVEPOINT_STATUS) while the two phases of a commit run and after them
   */
  savepoint({ optimistic = false }: { readonly optimistic?: boolean | undefined } = {}): Promise<Savepoint> {
    const core = this.#core
    return traced(savepointChannel, { transaction: this }, () =>
      core.underWay.enter('savepoint', false, () => takeSavepoint(core, optimistic)),
    )
  }

  /**
   * Adds a text, trimmed, as a new line of the description; `null` does nothing. A value that is no text becomes one, with a
   * warning (SQLASSIST_TEXT_EXPECTED). Zope: `note`.
   */
  note(text: string | null): void {
    this.#core.metadata.note(text)
  }

  /** Sets the user to `path`, a space and `name`. `path` is by default `/`. Zope: `setUser`. */
  setUser(name: string, path = '/'): void {
    this.#core.metadata.setUser(name, path)
  }

  /**
   * The user the work is done for, as text; default `''`. Stays readable after the end. Zope: `user`.
   *
   * @throws TransactionUsageError (SQLASSIST_USER_NULL) when set to null
   */
  get user(): string {
    return this.#core.metadata.user
  }

  set user(user: string) {
    this.#core.metadata.user = user
  }

  /** The description of the work. Setting it to null does nothing. Stays readable after the end. Zope: `description`. */
  get description(): string {
    return this.#core.metadata.description
  }

  set description(text: string | null) {
    this.#core.metadata.description = text
  }

  /** The values given to {@link setExtendedInfo}, by name; `null` after the end. Zope: `extension`. */
  get extension(): Readonly<Record<string, unknown>> | null {
    return this.#core.metadata.extension
  }

  /** Keeps further information about the transaction under a name. Zope: `setExtendedInfo`. */
  setExtendedInfo(name: string, value: unknown): void {
    this.#core.assertNotEnded('setExtendedInfo')
    this.#core.metadata.setExtendedInfo(name, value)
  }

  /**
   * The value that {@link setData} keeps for this object, until the end: also in hooks and `afterCompletion`. Zope: `data`.
   *
   * @throws TransactionUsageError (SQLASSIST_NO_DATA) when nothing is kept for it
   */
  data(object: object): unknown {
    return this.#core.dataOf(object)
  }

  /** Keeps one value for an object, by its identity, until the transaction ends. Zope: `set_data`. */
  setData(object: object, value: unknown): void {
    this.#core.keepData(object, value)
  }

  /**
   * Whether trying again may help after this error: always after a {@link TransientError}. Otherwise asks the data managers of
   * the manager's current transaction, in the order of joining; after the end none is left. Zope: `isRetryableError`.
   */
  async isRetryableError(error: unknown): Promise<boolean> {
    if (error instanceof TransientError) return true
    const { manager } = this.#core
    return await (manager === undefined ? this : manager.get()).#core.wantsRetry(error)
  }

  /**
   * Adds a hook that runs first in `commit`, with these arguments. Its error breaks the commit off before any other call.
   * Hooks of one kind run in the order they were added, including those added by a hook. Zope: `addBeforeCommitHook`.
   */
  addBeforeCommitHook<Args extends readonly unknown[]>(hook: Hook<Args>, ...args: Args): void {
    this.#core.hooksFor('addBeforeCommitHook').beforeCommit.add(hook, args)
  }

  /**
   * Adds a hook that runs last in a `commit` that got as far as its two phases, with whether it succeeded before its own
   * arguments. Its error is reported, not thrown, see {@link suppressedErrors}. After the hooks every data manager gets one more
   * `abort`, in case they touched it again. Zope: `addAfterCommitHook`.
   */
  addAfterCommitHook<Args extends readonly unknown[]>(hook: AfterCommitHook<Args>, ...args: Args): void {
    this.#core.hooksFor('addAfterCommitHook').afterCommit.add(hook, args)
  }

  /** Adds a hook that runs first in `abort`. Its error is reported, not thrown. Zope: `addBeforeAbortHook`. */
  addBeforeAbortHook<Args extends readonly unknown[]>(hook: Hook<Args>, ...args: Args): void {
    this.#core.hooksFor('addBeforeAbortHook').beforeAbort.add(hook, args)
  }

  /**
   * Adds a hook that runs in `abort` after those of the data managers. Its error comes out of the abort, which completes all
   * the same. After the hooks every data manager gets one more `abort`. Zope: `addAfterAbortHook`.
   */
  addAfterAbortHook<Args extends readonly unknown[]>(hook: Hook<Args>, ...args: Args): void {
    this.#core.hooksFor('addAfterAbortHook').afterAbort.add(hook, args)
  }

  /** The beforeCommit hooks that have not run yet. Zope: `getBeforeCommitHooks`. */
  get beforeCommitHooks(): readonly HookEntry[] {
    return this.#core.hooks?.beforeCommit.pending ?? []
  }

  /** The afterCommit hooks that have not run yet. Zope: `getAfterCommitHooks`. */
  get afterCommitHooks(): readonly HookEntry[] {
    return this.#core.hooks?.afterCommit.pending ?? []
  }

  /** The beforeAbort hooks that have not run yet. Zope: `getBeforeAbortHooks`. */
  get beforeAbortHooks(): readonly HookEntry[] {
    return this.#core.hooks?.beforeAbort.pending ?? []
  }

  /** The afterAbort hooks that have not run yet. Zope: `getAfterAbortHooks`. */
  get afterAbortHooks(): readonly HookEntry[] {
    return this.#core.hooks?.afterAbort.pending ?? []
  }
}
