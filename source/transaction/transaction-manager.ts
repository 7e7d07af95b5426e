import type { CallOut } from './call-out.ts'
import type { DataManager } from './data-manager.ts'
import { labelOf, named } from './describe.ts'
import { AlreadyInTransactionError, ConcurrentCallError, NoTransactionError, TransactionUsageError } from './errors.ts'
import { Operation } from './operation.ts'
import { type Attempt, Retrier, type RunOptions } from './retrier.ts'
import type { Savepoint } from './savepoints.ts'
import { callOne, type Synchronizer, SynchronizerSet } from './synchronizers.ts'
import { beginChannel, type BeginMessage } from './transaction-channels.ts'
import type { OwningManager } from './transaction-core.ts'
import { coreOf, Transaction } from './transaction.ts'
import { type OnSuppressedError, warnOfSuppressedError } from './warnings.ts'

/** The options of a {@link TransactionManager}. */
export interface TransactionManagerOptions {
  /**
   * Whether a transaction exists only between `begin` and its end; any use outside throws. If not, `get` makes one when there
   * is none, and `begin` aborts the current one. Default false, as Zope's.
   */
  readonly explicit?: boolean | undefined
  /**
   * The limit for each single call of a data manager, hook or synchronizer, in milliseconds, from 1 to 2147483647.
   *
   * A call that has not settled by then counts as failed with a `CallTimeoutError`. A later answer is dropped, a later error
   * reported. Default: no limit.
   */
  readonly timeoutMs?: number | undefined
  /** Gets every error that no caller gets to see. Default: a warning of the process, code `SQLASSIST_SUPPRESSED_ERROR`. */
  readonly onSuppressedError?: OnSuppressedError | undefined
  /** The value of {@link TransactionManager.attempt} outside of `run` and `attempts`, for a manager made for one try. Default 1. */
  readonly attempt?: number | undefined
  /** Called before a data manager joins; throws to refuse the data manager. Default: all are admitted. */
  readonly admit?: ((resource: DataManager) => void) | undefined
  /** Called with the data managers before the first `tpcFinish`, after which a commit cannot be taken back. @internal */
  readonly finishing?: ((resources: readonly DataManager[]) => void) | undefined
}

const longestTimeoutMs = 2_147_483_647

/**
 * Makes transactions, one at a time, and knows the current one.
 *
 * A manager serves one flow of control: give each request, job or test its own. Managers are cheap.
 *
 * ```ts
 * const manager = new TransactionManager({ explicit: true })
 * const transaction = await manager.begin()
 * transaction.join(resource)
 * await manager.commit()
 * ```
 *
 * Zope: `TransactionManager`.
 */
export class TransactionManager {
  /** Whether a transaction has to be begun. Zope: `explicit`. */
  readonly explicit: boolean
  readonly #synchronizers = new SynchronizerSet()
  readonly #asOwner: OwningManager
  readonly #attempt: number
  #current: Transaction | undefined
  #beginning: Operation | undefined
  #retrier: Retrier | undefined
  #tooLate: (() => Error) | undefined

  /** @throws TransactionUsageError (SQLASSIST_INVALID_TIMEOUT) when `timeoutMs` is not in its range */
  constructor(options: TransactionManagerOptions = {}) {
    const {
      explicit = false,
      timeoutMs,
      onSuppressedError = warnOfSuppressedError,
      attempt = 1,
      admit,
      finishing,
    } = options
    if (timeoutMs !== undefined && !(timeoutMs >= 1 && timeoutMs <= longestTimeoutMs)) {
      throw new TransactionUsageError(
        'SQLASSIST_INVALID_TIMEOUT',
        `timeoutMs must be from 1 to ${longestTimeoutMs} milliseconds and is ${timeoutMs}; leave it out for no limit.`,
      )
    }
    this.explicit = explicit
    this.#attempt = attempt
    this.#asOwner = {
      settings: { timeoutMs, onSuppressedError },
      synchronizers: this.#synchronizers,
      admit,
      finishing,
      get: () => this.get(),
      free: (transaction) => this.free(transaction),
    }
  }

  /**
   * Begins a transaction, makes it the current one and calls `newTransaction` of the synchronizers.
   *
   * An explicit manager refuses if a transaction is current, in any state. Others abort that one first, and begin nothing if
   * the abort throws. An error of a synchronizer is thrown, but the transaction is begun. Zope: `begin`.
   *
   * @throws AlreadyInTransactionError (SQLASSIST_ALREADY_IN_TRANSACTION) when explicit and a transaction is current
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) from outside while another `begin` or a commit is under way
   */
  begin(): Promise<Transaction> {
    if (this.#tooLate !== undefined) return Promise.reject(this.#tooLate())
    if (this.#current === undefined && this.#synchronizers.isEmpty && this.#beginning === undefined) {
      return Promise.resolve(this.#make())
    }
    if (this.#beginning?.isInside === true) return this.#begin()
    if (this.#beginning !== undefined) return Promise.reject(new ConcurrentCallError('begin', 'begin'))
    this.#beginning = new Operation('begin')
    return this.#beginning.run(
      () => this.#begin(),
      () => (this.#beginning = undefined),
    )
  }

  /**
   * The current transaction. If there is none, a manager that is not explicit makes one, without calling `newTransaction` of
   * the synchronizers. Zope: `get`.
   *
   * @throws NoTransactionError (SQLASSIST_NO_TRANSACTION) when explicit and none is begun
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) from outside while `begin` has ended one and not made the next
   */
  get(): Transaction {
    if (this.#current !== undefined) return this.#current
    if (this.#tooLate !== undefined) throw this.#tooLate()
    if (this.explicit) {
      throw new NoTransactionError(
        'No transaction is begun, or the last one has ended, and this manager is explicit: await manager.begin() first.',
      )
    }
    // Begin would replace a transaction made now, and nobody would end it.
    if (this.#beginning?.isInside === false) throw new ConcurrentCallError('get', 'begin')
    return this.#make()
  }

  /** Commits the current transaction; throws as {@link get} and {@link Transaction.commit} do. Zope: `commit`. */
  async commit(): Promise<void> {
    await this.get().commit()
  }

  /** Aborts the current transaction; throws as {@link get} and {@link Transaction.abort} do. Zope: `abort`. */
  async abort(): Promise<void> {
    await this.get().abort()
  }

  /** Dooms the current transaction; throws as {@link get} and {@link Transaction.doom} do. Zope: `doom`. */
  doom(): void {
    this.get().doom()
  }

  /** Whether the current transaction is doomed; throws as {@link get} does. Zope: `isDoomed`. */
  isDoomed(): boolean {
    return this.get().isDoomed()
  }

  /** A savepoint of the current transaction; throws as {@link get} and {@link Transaction.savepoint} do. Zope: `savepoint`. */
  async savepoint(options?: { readonly optimistic?: boolean | undefined }): Promise<Savepoint> {
    return await this.get().savepoint(options)
  }

  /**
   * Begins, works, commits and returns the result of the work. Aborts after an error.
   *
   * After a retryable error (see {@link Transaction.isRetryableError}) tries again, at most `attempts` times in all (default 3).
   * Any other error, and that of the last try, is thrown; an error of the abort takes its place.
   * The name of the function becomes the note of the transaction, unless it is `_`. Zope: `run`.
   *
   * ```ts
   * const id = await manager.run(async (transaction) => transfer(transaction, from, to), { attempts: 5 })
   * ```
   *
   * @throws TransactionUsageError (SQLASSIST_ATTEMPTS_COUNT) when `attempts` is not a whole number from 1
   * @throws NoTransactionError (SQLASSIST_NO_TRANSACTION) when explicit and the work ended the transaction itself
   * @throws the error of `begin`, the work, `commit` or `abort`
   */
  run<T>(work: (transaction: Transaction) => T | PromiseLike<T>, options: RunOptions = {}): Promise<T> {
    return this.#retries().run(work, options)
  }

  /**
   * Gives up to `count` blocks (default 3) for the same work, until one succeeds.
   *
   * Unlike {@link run}, the loop may do something between the tries, and no note is made. If the commit of the last block fails,
   * the transaction stays the current one, to be aborted. `attempts(1)` is Zope's block `with manager:`. Zope: `attempts`.
   *
   * ```ts
   * for await (const attempt of manager.attempts(3)) {
   *   await attempt.run(async (transaction) => transfer(transaction, from, to))
   * }
   * ```
   *
   * @throws TransactionUsageError (SQLASSIST_ATTEMPTS_COUNT) when iteration starts and `count` is not a whole number from 1
   */
  attempts(count = 3): AsyncIterable<Attempt> {
    return this.#retries().attempts(count)
  }

  /** The number of the try of {@link run} or {@link attempts} at work, from 1; outside of them the option `attempt`. */
  get attempt(): number {
    return this.#retrier?.attempt ?? this.#attempt
  }

  /**
   * Registers a synchronizer, which is held weakly: keep a reference to it.
   *
   * If a transaction is current, calls `newTransaction` at once, also when registering again. An error of that call is thrown,
   * but the synchronizer is registered. Zope: `registerSynch`.
   */
  async registerSynch(synchronizer: Synchronizer): Promise<void> {
    this.#synchronizers.add(synchronizer)
    const transaction = this.#current
    if (transaction === undefined) return
    await this.#announce(transaction, (calls) => callOne(synchronizer, 'newTransaction', transaction, calls))
  }

  /**
   * Unregisters a synchronizer. Zope: `unregisterSynch`.
   *
   * @throws TransactionUsageError (SQLASSIST_UNKNOWN_SYNCHRONIZER) when it is not registered
   */
  unregisterSynch(synchronizer: Synchronizer): void {
    if (this.#synchronizers.delete(synchronizer)) return
    throw new TransactionUsageError(
      'SQLASSIST_UNKNOWN_SYNCHRONIZER',
      `${labelOf(synchronizer)} is not registered with this manager (any more); registeredSynchs() tells whether any is.`,
    )
  }

  /** Unregisters all synchronizers. Zope: `clearSynchs`. */
  clearSynchs(): void {
    this.#synchronizers.clear()
  }

  /** Whether any synchronizer is registered. Zope: `registeredSynchs`. */
  registeredSynchs(): boolean {
    return this.#synchronizers.hasAny
  }

  /**
   * Forgets the current transaction without committing or aborting it. A transaction calls this at its end; other callers hardly
   * ever need it. Zope: `free`.
   *
   * @throws TransactionUsageError (SQLASSIST_FOREIGN_TRANSACTION) when it is not the current one
   */
  free(transaction: Transaction): void {
    if (transaction !== this.#current) {
      throw new TransactionUsageError(
        'SQLASSIST_FOREIGN_TRANSACTION',
        `${named(transaction)} is not the current one of this manager; it has ended, or belongs to another manager.`,
      )
    }
    this.#current = undefined
  }

  /** Closes the manager: a call that would begin a transaction throws the error of `tooLate`. @internal */
  close(tooLate: () => Error): void {
    this.#tooLate = tooLate
  }

  #make(): Transaction {
    const transaction = new Transaction(this.#asOwner)
    this.#current = transaction
    if (beginChannel.hasSubscribers) beginChannel.publish({ transaction, manager: this } satisfies BeginMessage)
    return transaction
  }

  async #begin(): Promise<Transaction> {
    if (this.#current !== undefined) {
      if (this.explicit) {
        throw new AlreadyInTransactionError(
          `begin: ${named(this.#current)} is still the current one (status ${this.#current.status}) and this manager is explicit: ` +
            'commit or abort it first.',
        )
      }
      await this.#current.abort()
    }
    // Replaces a transaction that participants of that abort may have begun.
    const transaction = this.#make()
    await this.#announce(transaction, (calls) => this.#synchronizers.round('newTransaction', transaction, calls))
    return transaction
  }

  /** Calls synchronizers about a new transaction, also while another operation is under way: registering is allowed any time. */
  #announce(transaction: Transaction, round: (calls: CallOut) => Promise<void>): Promise<void> {
    const { underWay, calls } = coreOf(transaction)
    const call = () => round(calls)
    return underWay.outside === undefined ? underWay.enter('begin', false, call) : call()
  }

  #retries(): Retrier {
    this.#retrier ??= new Retrier(this)
    return this.#retrier
  }
}
