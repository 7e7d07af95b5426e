import { abort } from './abort.ts'
import { abortChannel, commitChannel, savepointChannel, traced } from './channels.ts'
import { commit } from './commit.ts'
import type { DataManager } from './data-manager.ts'
import { labelOf, named } from './describe.ts'
import type { AfterCommitHook, Hook, HookEntry } from './hook.ts'
import { Hooks } from './hooks.ts'
import { anyWantsRetry } from './retryable.ts'
import type { Savepoint } from './savepoint.ts'
import type { Suppressed } from './suppressed.ts'
import { takeSavepoint } from './take-savepoint.ts'
import { TransactionCore, type TransactionHost } from './transaction-core.ts'
import { ConcurrentCallError, TransactionUsageError, TransientError } from './transaction-errors.ts'
import type { TransactionStatus } from './transaction-status.ts'

/** For the manager, which is the only one to look inside. */
export let coreOf: (transaction: Transaction) => TransactionCore

/**
 * One unit of work over any number of data managers, which it commits in two phases or aborts, all of them.
 *
 * A manager makes it: `await manager.begin()`. Once committed or aborted it has *ended*: what was read from it can still
 * be read (status, user, description), any call that would change it throws {@link TransactionEndedError}
 * (SQLASSIST_TRANSACTION_ENDED).
 *
 * While a commit, abort, savepoint or rollback is under way, the participants it calls may call back, and Zope's rules
 * say what happens; such a call from anybody else is refused with {@link ConcurrentCallError}
 * (SQLASSIST_CONCURRENT_CALL), except `abort`, see there. The asynchronous context tells the two apart: code that a
 * participant runs without it (a callback of an old library, say) counts as anybody else. Zope: `ITransaction`.
 */
export class Transaction {
  static {
    coreOf = (transaction) => transaction.#core
  }

  readonly #core: TransactionCore

  /** For the manager. Without a host it is a transaction that no manager knows: it works, and nothing ever finds it. */
  constructor(host?: TransactionHost) {
    this.#core = new TransactionCore(this, host)
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
   * Joining twice means being called twice. Allowed until the two phases of a commit begin, from inside and outside, so
   * beforeCommit hooks and beforeCompletion may still join. If there are valid savepoints, rolling one back aborts this data manager and takes
   * it out of the transaction, unless it has `savepointAtJoin`. Zope: `join`, allowed in the states Active and Doomed.
   *
   * Joining from outside while an abort or a rollback is under way is refused, since it might or might not be reached by it;
   * from outside while a savepoint is being made, the data manager counts as joined after that savepoint.
   *
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit or abort
   * @throws TransactionFailedError (SQLASSIST_TRANSACTION_FAILED) after a failed commit, savepoint or rollback
   * @throws TransactionUsageError (SQLASSIST_JOIN_STATUS) while the two phases of a commit run and after them
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) as above
   * @throws whatever `admit` of the manager throws to refuse the data manager
   */
  join(resource: DataManager): void {
    this.#core.join(resource)
  }

  /** For what joins as a part of a data manager that has joined. @throws as {@link join} @internal */
  assertJoinable(): void {
    this.#core.assertJoinable()
  }

  /** How many data managers have joined; those that left with the rollback of a savepoint do not count. 0 after the end. */
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
   * {@link DataManager}; `afterCompletion`; afterCommit hooks with `true`. Then the transaction has ended.
   *
   * An error before the two phases comes out as it is, and nothing was called that would have to be undone: the
   * transaction goes on as before and may be committed again. An error in them sends `abort` and `tpcAbort` to the data
   * managers, runs `afterCompletion` and the afterCommit hooks with `false`, and is thrown as the same object; the status is
   * `Commit failed` and the transaction stays the current one until it is aborted. An error of `afterCompletion` is
   * thrown too, in place of an earlier one; after a successful commit the status is then `Committed`, and an abort lets go
   * of the transaction without undoing it. Zope: `commit`, except that it commits a second time when told to.
   *
   * Committing is not interrupted: a commit or an abort from outside while it runs is refused. A participant that aborts the
   * transaction before the first `tpcFinish` makes the commit fail there, with everybody cleaned up; once finishing has begun
   * it goes on to the last.
   *
   * @throws DoomedTransactionError (SQLASSIST_TRANSACTION_DOOMED) when doomed; nothing has been called
   * @throws TransactionFailedError (SQLASSIST_TRANSACTION_FAILED) when it failed earlier; nothing has been called
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit or abort
   * @throws TransactionUsageError (SQLASSIST_COMMIT_STATUS) while the two phases run and after them
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) from outside while another call is under way
   * @throws CallTimeoutError (SQLASSIST_CALL_TIMEOUT) when a participant did not answer in time
   * @throws whatever a participant throws
   */
  commit(): Promise<void> {
    const core = this.#core
    return traced(commitChannel, { transaction: this }, () =>
      core.underWay.enter('commit', core.callsNobody, () => commit(core)),
    )
  }

  /**
   * Gives up the work of all data managers and ends the transaction. Allowed in every state.
   *
   * In this order: beforeAbort hooks; savepoints become invalid; `beforeCompletion`; `abort` of the data managers in the
   * order of joining; afterAbort hooks; the manager forgets the transaction; `afterCompletion`. Everybody is told: an error of
   * `beforeCompletion` or a data manager is thrown at the end, the first of them as the same object. An error of an afterAbort
   * hook or of `afterCompletion` comes out in its place. In any case the transaction has ended. Zope: `abort`.
   *
   * From outside, while an abort is under way: has the same outcome as that one. While a savepoint, a rollback or `begin` is
   * under way: waits for it, then aborts; nothing else gets in between. While a commit is under way: refused.
   * After an abort: does nothing.
   *
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit, which cannot be undone
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) from outside while a commit is under way
   * @throws CallTimeoutError (SQLASSIST_CALL_TIMEOUT) when a participant did not answer in time
   * @throws whatever a participant throws
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
   * Makes sure that this transaction cannot be committed; work may go on until it is aborted.
   *
   * Zope: `doom`. A hook or synchronizer that dooms its transaction while it is being committed changes nothing.
   *
   * @throws TransactionUsageError (SQLASSIST_DOOM_STATUS) in a state other than Active and Doomed
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit or abort
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) from outside while a commit is under way, which it cannot stop
   */
  doom(): void {
    const core = this.#core
    core.refuseEnded('doom')
    if (core.status !== 'Active' && core.status !== 'Doomed') {
      throw core.wrongState('SQLASSIST_DOOM_STATUS', 'doom', 'only an Active one can be doomed')
    }
    if (core.underWay.outside === 'commit') throw new ConcurrentCallError('doom', 'commit')
    core.status = 'Doomed'
  }

  /** Whether {@link doom} was called and not overtaken by a commit already under way. */
  isDoomed(): boolean {
    return this.#core.status === 'Doomed'
  }

  /**
   * A state of all joined data managers to go back to.
   *
   * Every data manager must have `savepoint`, unless `optimistic` is true (default false): then one that has not is let pass,
   * and rolling back will fail. An error while making it sends `abort` and `tpcAbort` to the data managers, makes the
   * transaction `Commit failed` and is thrown; earlier savepoints stay valid. Zope: `savepoint`, which can also be called
   * once the two phases of a commit have begun.
   *
   * @throws SavepointUnsupportedError (SQLASSIST_SAVEPOINT_UNSUPPORTED) as above
   * @throws TransactionFailedError (SQLASSIST_TRANSACTION_FAILED) when the transaction failed earlier
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit or abort
   * @throws TransactionUsageError (SQLASSIST_SAVEPOINT_STATUS) while the two phases of a commit run and after them
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) from outside while another call is under way
   */
  savepoint({ optimistic = false }: { readonly optimistic?: boolean | undefined } = {}): Promise<Savepoint> {
    const core = this.#core
    return traced(savepointChannel, { transaction: this }, () =>
      core.underWay.enter('savepoint', false, () => takeSavepoint(core, optimistic)),
    )
  }

  /**
   * Adds a text to the description: white space at both ends is dropped, a line break parts it from what is there. `null`
   * does nothing. What is no text becomes one, with a warning (SQLASSIST_TEXT_EXPECTED). Zope: `note`.
   */
  note(text: string | null): void {
    this.#core.metadata.note(text)
  }

  /** Sets the user to `path`, a space and `name`. `path` is by default `/`. Zope: `setUser`. */
  setUser(name: string, path = '/'): void {
    this.#core.metadata.setUser(name, path)
  }

  /**
   * For whom the work is done, as text; `''` where nobody said so. Stays readable after the end. Zope: `user`.
   *
   * @throws TransactionUsageError (SQLASSIST_USER_NULL) when set to null
   */
  get user(): string {
    return this.#core.metadata.user
  }

  set user(user: string) {
    this.#core.metadata.user = user
  }

  /** What the work is. Setting it to null does nothing. Stays readable after the end. Zope: `description`. */
  get description(): string {
    return this.#core.metadata.description
  }

  set description(text: string | null) {
    this.#core.metadata.description = text
  }

  /** What {@link setExtendedInfo} was given; `null` after the end. Zope: `extension`. */
  get extension(): Readonly<Record<string, unknown>> | null {
    return this.#core.metadata.extension
  }

  /**
   * Tells something more about the transaction, by a name. Zope: `setExtendedInfo`.
   *
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit or abort
   */
  setExtendedInfo(name: string, value: unknown): void {
    this.#core.refuseEnded('setExtendedInfo')
    this.#core.metadata.setExtendedInfo(name, value)
  }

  /**
   * What {@link setData} kept for this object. There until the end, so also in every hook and in `afterCompletion`. Zope: `data`.
   *
   * @throws TransactionUsageError (SQLASSIST_NO_DATA) when nothing is kept for it
   */
  data(object: object): unknown {
    const { data } = this.#core
    if (data?.has(object) === true) return data.get(object)
    throw new TransactionUsageError(
      'SQLASSIST_NO_DATA',
      `data: ${named(this)} keeps nothing for ${labelOf(object)}; call setData(object, value) first, in the same transaction.`,
    )
  }

  /**
   * Keeps one value for an object, by its identity, until the transaction ends. Zope: `set_data`.
   *
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit or abort
   */
  setData(object: object, value: unknown): void {
    const core = this.#core
    core.refuseEnded('setData')
    core.data ??= new Map()
    core.data.set(object, value)
  }

  /**
   * Whether trying again may help after this error: yes for a {@link TransientError}, without asking anybody; otherwise
   * the data managers of the manager's current transaction are asked, in order of joining, until one says yes.
   * After the end there is nobody left to ask. Zope: `isRetryableError`.
   */
  async isRetryableError(error: unknown): Promise<boolean> {
    if (error instanceof TransientError) return true
    const { host } = this.#core
    return await anyWantsRetry((host === undefined ? this : host.get()).#core, error)
  }

  /**
   * Adds a hook that runs first thing in `commit`, with these arguments. Its error breaks the commit off before anything else
   * was called. Hooks of one kind run in the order they were added, also those added by a hook. Zope: `addBeforeCommitHook`.
   *
   * @throws TransactionEndedError (SQLASSIST_TRANSACTION_ENDED) after a commit or abort, as all the `add...Hook` methods
   */
  addBeforeCommitHook<Args extends readonly unknown[]>(hook: Hook<Args>, ...args: Args): void {
    this.#hooksToAdd('addBeforeCommitHook').beforeCommit.add(hook, args)
  }

  /**
   * Adds a hook that runs last thing in `commit`, with whether it succeeded before its own arguments.
   *
   * Its error is not thrown but reported, see {@link suppressedErrors}. After the hooks every data manager gets one more
   * `abort`, in case they touched it again. Not run when the commit was refused or broken off before its two phases.
   * Zope: `addAfterCommitHook`.
   */
  addAfterCommitHook<Args extends readonly unknown[]>(hook: AfterCommitHook<Args>, ...args: Args): void {
    this.#hooksToAdd('addAfterCommitHook').afterCommit.add(hook, args)
  }

  /** Adds a hook that runs first thing in `abort`. Its error is not thrown but reported. Zope: `addBeforeAbortHook`. */
  addBeforeAbortHook<Args extends readonly unknown[]>(hook: Hook<Args>, ...args: Args): void {
    this.#hooksToAdd('addBeforeAbortHook').beforeAbort.add(hook, args)
  }

  /**
   * Adds a hook that runs in `abort` after the data managers were told. Its error comes out of the abort, which is complete all
   * the same. After the hooks every data manager gets one more `abort`. Zope: `addAfterAbortHook`.
   */
  addAfterAbortHook<Args extends readonly unknown[]>(hook: Hook<Args>, ...args: Args): void {
    this.#hooksToAdd('addAfterAbortHook').afterAbort.add(hook, args)
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

  #hooksToAdd(operation: string): Hooks {
    const core = this.#core
    core.refuseEnded(operation)
    core.hooks ??= new Hooks()
    return core.hooks
  }
}
