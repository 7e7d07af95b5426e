import { CallOut, type CallOutSettings, isThenable } from './call-out.ts'
import type { DataManager } from './data-manager.ts'
import { errorText, labelOf, named } from './describe.ts'
import {
  ConcurrentCallError,
  TransactionEndedError,
  TransactionFailedError,
  type TransactionUsageCode,
  TransactionUsageError,
} from './errors.ts'
import { type HookKind, type HookList, Hooks } from './hooks.ts'
import { Metadata } from './metadata.ts'
import { type Operation, UnderWay } from './operation.ts'
import { type SavepointEntry, Savepoints } from './savepoints.ts'
import type { SynchronizerSet } from './synchronizers.ts'
import { hooksChannel, type HooksMessage, joinChannel, type JoinMessage } from './transaction-channels.ts'
import type { TransactionStatus } from './transaction-status.ts'
import type { Transaction } from './transaction.ts'
import { warnOfSuppressedError } from './warnings.ts'

/** The manager that made a transaction, as the transaction sees it. */
export interface OwningManager {
  readonly settings: CallOutSettings
  readonly synchronizers: SynchronizerSet
  readonly admit: ((resource: DataManager) => void) | undefined
  readonly finishing: ((resources: readonly DataManager[]) => void) | undefined
  get(): Transaction
  free(transaction: Transaction): void
}

const bareSettings: CallOutSettings = { timeoutMs: undefined, onSuppressedError: warnOfSuppressedError }

/** The state of a transaction, and the steps shared by commit, abort and savepoints. */
export class TransactionCore {
  /** The transaction, as participants get it. */
  readonly transaction: Transaction
  readonly calls: CallOut
  readonly underWay = new UnderWay()
  readonly metadata = new Metadata()
  status: TransactionStatus = 'Active'
  /** How many commits are under way, one inside the other. */
  commits = 0
  /** Whether its beforeCommit hooks run. */
  runsBeforeCommitHooks = false
  // Loops under way rely on this: leaving makes a new list, the end empties the present one. In order of joining.
  resources: DataManager[] = []
  // Data managers whose vote has returned. An array will do: lookups are rare.
  voted: DataManager[] = []
  hooks: Hooks | undefined
  // Cut at the end, like the synchronizers, so that a transaction kept by a caller keeps nothing else alive.
  manager: OwningManager | undefined
  #synchronizers: SynchronizerSet | undefined
  #savepoints: Savepoints | undefined
  #data: Map<object, unknown> | undefined
  #failure: { readonly error: unknown } | undefined
  #hasEnded = false
  // The operation that was under way at the end.
  #endedIn: Operation | undefined

  constructor(transaction: Transaction, manager: OwningManager | undefined) {
    this.transaction = transaction
    this.manager = manager
    this.#synchronizers = manager?.synchronizers
    this.calls = new CallOut(transaction, manager?.settings ?? bareSettings)
  }

  /** Whether a commit, an abort or a savepoint would call nobody. */
  get callsNobody(): boolean {
    return (
      this.resources.length === 0 &&
      (this.hooks === undefined || this.hooks.isEmpty) &&
      (this.#synchronizers === undefined || this.#synchronizers.isEmpty)
    )
  }

  /** @throws as {@link Transaction.join}, except the error of `admit` */
  assertJoinable(): void {
    this.assertNotEnded('join')
    if (this.status === 'Commit failed') throw this.failedEarlier('join')
    if (this.status !== 'Active' && this.status !== 'Doomed') {
      throw this.wrongState('SQLASSIST_JOIN_STATUS', 'join', 'join before commit() begins its two phases')
    }
    const outside = this.underWay.outside
    if (outside === 'abort' || outside === 'rollback') throw new ConcurrentCallError('join', outside)
  }

  doom(): void {
    this.assertNotEnded('doom')
    if (this.status !== 'Active' && this.status !== 'Doomed') {
      throw this.wrongState('SQLASSIST_DOOM_STATUS', 'doom', 'only an Active one can be doomed')
    }
    if (this.underWay.outside === 'commit') throw new ConcurrentCallError('doom', 'commit')
    this.status = 'Doomed'
  }

  dataOf(object: object): unknown {
    if (this.#data?.has(object) === true) return this.#data.get(object)
    throw new TransactionUsageError(
      'SQLASSIST_NO_DATA',
      `data: ${named(this.metadata)} keeps nothing for ${labelOf(object)}; call setData(object, value) first, in the same transaction.`,
    )
  }

  keepData(object: object, value: unknown): void {
    this.assertNotEnded('setData')
    this.#data ??= new Map()
    this.#data.set(object, value)
  }

  /** The hooks to add one to, for the method of this name. */
  hooksFor(operation: string): Hooks {
    this.assertNotEnded(operation)
    this.hooks ??= new Hooks()
    return this.hooks
  }

  join(resource: DataManager): void {
    this.assertJoinable()
    this.manager?.admit?.(resource)
    this.resources.push(resource)
    if (this.#savepoints?.isEmpty === false) {
      this.#savepoints.tie(this.#wayBackFor(resource), this.underWay.outside === 'savepoint')
    }
    if (joinChannel.hasSubscribers) {
      joinChannel.publish({ transaction: this.transaction, resource } satisfies JoinMessage)
    }
  }

  /** Makes the step by which the rollback of an earlier savepoint takes a data manager back. */
  #wayBackFor(resource: DataManager): SavepointEntry {
    const part = resource.savepointAtJoin?.()
    if (part !== undefined) return { participant: resource, rollback: () => part.rollback() }
    return {
      participant: resource,
      rollback: () => resource.abort(this.transaction),
      after: () => (this.resources = this.resources.filter((other) => other !== resource)),
    }
  }

  /** The savepoints, made when first needed: most transactions have none. */
  get savepoints(): Savepoints {
    this.#savepoints ??= new Savepoints()
    return this.#savepoints
  }

  invalidateSavepoints(): void {
    this.#savepoints?.invalidateAll()
  }

  // Calling out: each returns undefined if there is nobody to call, which saves an await.

  synchronize(method: 'beforeCompletion' | 'afterCompletion'): Promise<void> | undefined {
    const synchronizers = this.#synchronizers
    if (synchronizers === undefined || synchronizers.isEmpty) return undefined
    return synchronizers.round(method, this.transaction, this.calls)
  }

  async abortResources(onError: (error: unknown, method: string, participant: object) => void): Promise<void> {
    const { resources } = this
    for (let index = 0; index < resources.length; index++) {
      const resource = resources[index] as DataManager
      try {
        this.calls.announce('abort', resource)
        const answer = resource.abort(this.transaction)
        if (isThenable(answer)) await this.calls.settle(answer, 'abort', resource)
      } catch (error) {
        onError(error, 'abort', resource)
      }
    }
  }

  /** Asks the data managers, in the order of joining, until one says that trying again may help. */
  async wantsRetry(error: unknown): Promise<boolean> {
    const { resources } = this
    for (let index = 0; index < resources.length; index++) {
      const resource = resources[index] as DataManager
      const answer = resource.shouldRetry?.(error)
      if (isThenable(answer) ? await this.calls.settle(answer, 'shouldRetry', resource) : answer) return true
    }
    return false
  }

  hooksToRun(kind: HookKind, before: readonly unknown[] = []): HookList | undefined {
    const hooks = this.hooks?.[kind]
    if (hooks === undefined || hooks.isEmpty) return undefined
    return hooksChannel.hasSubscribers && this.#areHeld(kind, hooks, before) ? undefined : hooks
  }

  #areHeld(kind: HookKind, hooks: HookList, [committed]: readonly unknown[]): boolean {
    const hold = (): void => hooks.clear()
    const message = { transaction: this.transaction, kind, hooks: hooks.pending, committed: committed as boolean, hold }
    hooksChannel.publish(message satisfies HooksMessage)
    return hooks.isEmpty
  }

  /** Runs the hooks that come after the work, then aborts the data managers, which the hooks may have touched. */
  afterHooks(
    kind: 'afterCommit' | 'afterAbort',
    before: readonly unknown[],
    onError: 'throw' | 'suppress',
  ): Promise<void> | undefined {
    const hooks = this.hooksToRun(kind, before)
    return hooks === undefined ? undefined : this.#roundThenClear(hooks, before, onError)
  }

  async #roundThenClear(hooks: HookList, before: readonly unknown[], onError: 'throw' | 'suppress'): Promise<void> {
    try {
      await hooks.round(this.calls, before, onError)
    } finally {
      await this.abortResources((error, method, resource) => this.calls.suppress(error, method, resource))
    }
  }

  // The end

  fail(error: unknown): void {
    this.status = 'Commit failed'
    this.#failure = { error }
  }

  freeManager(): void {
    const { manager } = this
    // Cut first: if the manager refuses, it is not asked again.
    this.manager = undefined
    manager?.free(this.transaction)
  }

  free(): void {
    this.freeManager()
    this.#hasEnded = true
    this.#endedIn = this.underWay.operation
    this.resources.length = 0
    this.hooks?.clear()
    this.#data = undefined
    this.voted = []
    this.#synchronizers = undefined
    this.metadata.dropExtension()
  }

  // Refusals

  /**
   * Whether the transaction has ended and the call that ended it has returned.
   *
   * A participant may end the transaction during a commit. Until that commit returns, its other participants still see the old
   * state, as in Zope.
   */
  get isOver(): boolean {
    if (!this.#hasEnded) return false
    const { operation } = this.underWay
    return operation === undefined || operation !== this.#endedIn || !operation.isInside
  }

  /** Throws if the transaction is over. */
  assertNotEnded(operation: string): void {
    if (this.isOver) throw this.#ended(operation)
  }

  /** Throws if a participant has ended the transaction during the present call. */
  assertNotEndedInside(operation: string): void {
    if (this.#hasEnded) throw this.#ended(operation)
  }

  failedEarlier(operation: string): TransactionFailedError {
    return new TransactionFailedError(
      `${operation}: ${named(this.metadata)} failed earlier (${errorText(this.#failure?.error)}) and can only be aborted: ` +
        'await transaction.abort(), then begin a new one.',
      this.#cause(),
    )
  }

  wrongState(code: TransactionUsageCode, operation: string, fix: string): TransactionUsageError {
    return new TransactionUsageError(
      code,
      `${operation}: ${named(this.metadata)} is in the state ${this.status}; ${fix}.`,
    )
  }

  #ended(operation: string): TransactionEndedError {
    return new TransactionEndedError(operation, this.transaction, this.#cause())
  }

  #cause(): ErrorOptions {
    return this.#failure === undefined ? {} : { cause: this.#failure.error }
  }
}
