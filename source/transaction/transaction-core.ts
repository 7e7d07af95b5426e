import { CallOut, type CallOutSettings, isThenable } from './call-out.ts'
import { joinChannel, type JoinMessage } from './channels.ts'
import type { DataManager } from './data-manager.ts'
import { errorText, named } from './describe.ts'
import type { HookList } from './hook-list.ts'
import type { HookKind, Hooks } from './hooks.ts'
import { Metadata } from './metadata.ts'
import type { Operation } from './operation.ts'
import type { SavepointEntry } from './savepoint.ts'
import { Savepoints } from './savepoints.ts'
import { warnOfSuppressedError } from './suppressed.ts'
import type { SynchronizerSet } from './synchronizer-set.ts'
import type { Transaction } from './transaction.ts'
import {
  ConcurrentCallError,
  TransactionEndedError,
  TransactionFailedError,
  type TransactionUsageCode,
  TransactionUsageError,
} from './transaction-errors.ts'
import type { TransactionStatus } from './transaction-status.ts'
import { UnderWay } from './under-way.ts'

/** What a transaction needs of the manager that made it. */
export interface TransactionHost {
  readonly settings: CallOutSettings
  readonly synchronizers: SynchronizerSet
  readonly admit: ((resource: DataManager) => void) | undefined
  readonly finishing: ((resources: readonly DataManager[]) => void) | undefined
  get(): Transaction
  free(transaction: Transaction): void
}

const bareSettings: CallOutSettings = { timeoutMs: undefined, onSuppressedError: warnOfSuppressedError }

/** The state of a transaction, and the steps that its commit, abort and savepoints have in common. */
export class TransactionCore {
  /** What participants are given. */
  readonly transaction: Transaction
  readonly calls: CallOut
  readonly underWay = new UnderWay()
  readonly metadata = new Metadata()
  status: TransactionStatus = 'Active'
  /** How many commits are under way, one inside the other. */
  commits = 0
  /** Whether its beforeCommit hooks run. */
  runsBeforeCommitHooks = false
  // In order of joining. Leaving makes a new list, ending empties the present one: loops under way rely on both.
  resources: DataManager[] = []
  // Whose vote has returned. An array, since hardly anybody ever asks.
  voted: DataManager[] = []
  hooks: Hooks | undefined
  data: Map<object, unknown> | undefined
  // Both are cut at the end, so that a transaction kept by somebody keeps nothing else alive.
  host: TransactionHost | undefined
  #synchronizers: SynchronizerSet | undefined
  #savepoints: Savepoints | undefined
  #failure: { readonly error: unknown } | undefined
  #hasEnded = false
  // What was under way when it ended.
  #endedIn: Operation | undefined

  constructor(transaction: Transaction, host: TransactionHost | undefined) {
    this.transaction = transaction
    this.host = host
    this.#synchronizers = host?.synchronizers
    this.calls = new CallOut(transaction, host?.settings ?? bareSettings)
  }

  /** Whether nobody would be called by a commit, an abort or a savepoint. */
  get callsNobody(): boolean {
    return (
      this.resources.length === 0 &&
      (this.hooks === undefined || this.hooks.isEmpty) &&
      (this.#synchronizers === undefined || this.#synchronizers.isEmpty)
    )
  }

  /** @throws as {@link Transaction.join}, but for what `admit` throws */
  assertJoinable(): void {
    this.refuseEnded('join')
    if (this.status === 'Commit failed') throw this.failedEarlier('join')
    if (this.status !== 'Active' && this.status !== 'Doomed') {
      throw this.wrongState('SQLASSIST_JOIN_STATUS', 'join', 'join before commit() begins its two phases')
    }
    const outside = this.underWay.outside
    if (outside === 'abort' || outside === 'rollback') throw new ConcurrentCallError('join', outside)
  }

  join(resource: DataManager): void {
    this.assertJoinable()
    this.host?.admit?.(resource)
    this.resources.push(resource)
    if (this.#savepoints?.isEmpty === false) {
      this.#savepoints.tie(this.#wayBackFor(resource), this.underWay.outside === 'savepoint')
    }
    if (joinChannel.hasSubscribers) {
      joinChannel.publish({ transaction: this.transaction, resource } satisfies JoinMessage)
    }
  }

  /** What the rollback of a savepoint does to a data manager that joined later. */
  #wayBackFor(resource: DataManager): SavepointEntry {
    const part = resource.savepointAtJoin?.()
    if (part !== undefined) return { participant: resource, rollback: () => part.rollback() }
    return {
      participant: resource,
      rollback: () => resource.abort(this.transaction),
      after: () => (this.resources = this.resources.filter((other) => other !== resource)),
    }
  }

  /** Made when first needed: most transactions have none. */
  get savepoints(): Savepoints {
    this.#savepoints ??= new Savepoints()
    return this.#savepoints
  }

  invalidateSavepoints(): void {
    this.#savepoints?.invalidateAll()
  }

  // Calling out. Each gives nothing where there is nobody to call, which saves waiting for it.

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

  hooksToRun(kind: HookKind): HookList | undefined {
    const hooks = this.hooks?.[kind]
    return hooks === undefined || hooks.isEmpty ? undefined : hooks
  }

  /** A round of hooks that come when the work is done; after it the data managers are cleared of what the hooks did. */
  afterHooks(
    kind: 'afterCommit' | 'afterAbort',
    before: readonly unknown[],
    onError: 'throw' | 'suppress',
  ): Promise<void> | undefined {
    const hooks = this.hooksToRun(kind)
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
    const { host } = this
    // Cut first: if the manager refuses, it is not asked again.
    this.host = undefined
    host?.free(this.transaction)
  }

  free(): void {
    this.freeManager()
    this.#hasEnded = true
    this.#endedIn = this.underWay.operation
    this.resources.length = 0
    this.hooks?.clear()
    this.data = undefined
    this.voted = []
    this.#synchronizers = undefined
    this.metadata.dropExtension()
  }

  // Refusals

  /**
   * Whether it has ended and nothing is going on any more. A participant may end the transaction inside a call that goes on
   * after it: until that one is through, those it calls find everything as Zope leaves it.
   */
  get isOver(): boolean {
    if (!this.#hasEnded) return false
    const { operation } = this.underWay
    return operation === undefined || operation !== this.#endedIn || !operation.isInside
  }

  /** Throws when over. */
  refuseEnded(operation: string): void {
    if (this.isOver) throw this.#ended(operation)
  }

  /** Throws when a participant has ended the transaction under the call that goes on. */
  refuseEndedInside(operation: string): void {
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
