import type { Attempt } from './attempt.ts'
import type { CallOut } from './call-out.ts'
import { beginChannel, type BeginMessage } from './channels.ts'
import type { DataManager } from './data-manager.ts'
import { labelOf, named } from './describe.ts'
import { Operation } from './operation.ts'
import { Retrier, type RunOptions } from './retrier.ts'
import type { Savepoint } from './savepoint.ts'
import { type OnSuppressedError, warnOfSuppressedError } from './suppressed.ts'
import type { Synchronizer } from './synchronizer.ts'
import { callOne, SynchronizerSet } from './synchronizer-set.ts'
import { coreOf, Transaction } from './transaction.ts'
import type { TransactionHost } from './transaction-core.ts'
import {
  AlreadyInTransactionError,
  ConcurrentCallError,
  NoTransactionError,
  TransactionUsageError,
} from './transaction-errors.ts'

/** The options of a {@link TransactionManager}. */
export interface TransactionManagerOptions {
  /**
   * `true`: a transaction exists only between `begin` and its end; anything else throws. `false`: `get` makes one when
   * there is none, and `begin` aborts the one there is. Default false, as Zope's.
   */
  readonly explicit?: boolean | undefined
  /**
   * How long each single call of a data manager, hook or synchronizer may take, in milliseconds, from 1 to 2147483647. One that
   * has not settled by then counts as failed with a `CallTimeoutError`, and everything goes on as after any other error of that
   * call; what comes of it later is dropped, a later error reported. Default: no limit.
   */
  readonly timeoutMs?: number | undefined
  /** Gets every error that no caller gets to see. Default: a warning of the process, code `SQLASSIST_SUPPRESSED_ERROR`. */
  readonly onSuppressedError?: OnSuppressedError | undefined
  /** What {@link TransactionManager.attempt} says outside of `run` and `attempts`, for a manager made for one try. Default 1. */
  readonly attempt?: number | undefined
  /** Called before a data manager joins; throws to refuse it. Default: all are admitted. */
  readonly admit?: ((resource: DataManager) => void) | undefined
  /** Called when a commit is about to call `tpcFinish`, with the data managers: from here on it cannot be taken back. @internal */
  readonly finishing?: ((resources: readonly DataManager[]) => void) | undefined
}

const longestTimeoutMs = 2_147_483_647

/**
 * Makes transactions, one at a time, and knows the current one.
 *
 * A manager serves one flow of control: give each request, job or test its own. Making one costs next to nothing.
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
  readonly #host: TransactionHost
  readonly #attempt: number
  #current: Transaction | undefined
  #beginning: Operation | undefined
  #retrier: Retrier | undefined
  #tooLate: (() => Error) | undefined

  /** @throws TransactionUsageError (SQLASSIST_INVALID_TIMEOUT) when `timeoutMs` is no number of that range */
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
    this.#host = {
      settings: { timeoutMs, onSuppressedError },
      synchronizers: this.#synchronizers,
      admit,
      finishing,
      get: () => this.get(),
      free: (transaction) => this.free(transaction),
    }
  }

  /**
   * Begins a transaction and makes it the current one; then tells the synchronizers (`newTransaction`).
   *
   * With one current already, in whatever state: an explicit manager refuses; any other aborts that one first, and an error
   * of that abort is thrown, with nothing begun. An error of a synchronizer is thrown too; the transaction is begun all the same.
   * Zope: `begin`.
   *
   * @throws AlreadyInTransactionError (SQLASSIST_ALREADY_IN_TRANSACTION) as above
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
   * The current transaction. Where there is none, a manager that is not explicit makes one, of which no synchronizer is told.
   * Zope: `get`.
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
    // One made now would be replaced by the one that begin is about to make, and nobody would end it.
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
   * Begins, works, commits and gives what the work gave; after a retryable error (see {@link Transaction.isRetryableError})
   * aborts and tries again, at most `attempts` times in all (default 3).
   *
   * The name of the function becomes the note of the transaction, unless it is `_`. After any other error, and after the last
   * try, the transaction is aborted and the error thrown; an error of that abort takes its place. Zope: `run`.
   *
   * ```ts
   * const id = await manager.run(async (transaction) => transfer(transaction, from, to), { attempts: 5 })
   * ```
   *
   * @throws TransactionUsageError (SQLASSIST_ATTEMPTS_COUNT) when `attempts` is not a whole number from 1
   * @throws NoTransactionError (SQLASSIST_NO_TRANSACTION) when explicit and the work ended the transaction itself
   * @throws whatever `begin`, the work, `commit` or `abort` throws
   */
  run<T>(work: (transaction: Transaction) => T | PromiseLike<T>, options: RunOptions = {}): Promise<T> {
    return this.#retries().run(work, options)
  }

  /**
   * Up to `count` blocks (default 3) for the same work, until one succeeds. Like {@link run}, with three differences: the loop
   * may do something between the tries, no note is made, and if the commit of the last block fails the transaction stays the
   * current one, to be looked at and aborted. `attempts(1)` is Zope's plain block, `with manager:`. Zope: `attempts`.
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

  /** Which try of {@link run} or {@link attempts} is at work, counted from 1; outside of them, what the options said. */
  get attempt(): number {
    return this.#retrier?.attempt ?? this.#attempt
  }

  /**
   * Tells a synchronizer of all transactions from now on; if one is current, of that one at once, and an error of that is thrown,
   * with the synchronizer registered all the same. It is held weakly: keep a reference to it. Registering it again tells it again and
   * changes nothing else. Zope: `registerSynch`.
   */
  async registerSynch(synchronizer: Synchronizer): Promise<void> {
    this.#synchronizers.add(synchronizer)
    const transaction = this.#current
    if (transaction === undefined) return
    await this.#announce(transaction, (calls) => callOne(synchronizer, 'newTransaction', transaction, calls))
  }

  /**
   * Zope: `unregisterSynch`.
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
   * Forgets the current transaction, which is neither committed nor aborted by it. A transaction calls it at its end; there is
   * hardly ever another reason to. Zope: `free`.
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

  /** From here on it begins nothing: what would, throws what `tooLate` gives. For the rooms above. @internal */
  close(tooLate: () => Error): void {
    this.#tooLate = tooLate
  }

  #make(): Transaction {
    const transaction = new Transaction(this.#host)
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
    // In place of one that participants of that abort may have begun.
    const transaction = this.#make()
    await this.#announce(transaction, (calls) => this.#synchronizers.round('newTransaction', transaction, calls))
    return transaction
  }

  /** Registering may happen at any time, so what is under way does not keep a synchronizer from being told. */
  #announce(transaction: Transaction, round: (calls: CallOut) => Promise<void>): Promise<void> {
    const { underWay, calls } = coreOf(transaction)
    const tell = () => round(calls)
    return underWay.outside === undefined ? underWay.enter('begin', false, tell) : tell()
  }

  #retries(): Retrier {
    this.#retrier ??= new Retrier(this)
    return this.#retrier
  }
}
