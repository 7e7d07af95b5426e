import { TransactionUsageError, TransientError } from './errors.ts'
import { coreOf, type Transaction } from './transaction.ts'
import type { TransactionManager } from './transaction-manager.ts'

/** The options of `manager.run`. */
export interface RunOptions {
  /** How often to try at most, the first time included. A whole number from 1; default 3. */
  readonly attempts?: number | undefined
  /** A text for the note of the transaction, below the name of the function; Python uses the doc string. Default: none. */
  readonly doc?: string | undefined
}

/** Runs units of work of one manager, again where that may help. */
export class Retrier {
  readonly #manager: TransactionManager
  #attempt = 1

  constructor(manager: TransactionManager) {
    this.#manager = manager
  }

  get attempt(): number {
    return this.#attempt
  }

  async run<T>(
    work: (transaction: Transaction) => T | PromiseLike<T>,
    { attempts = 3, doc = '' }: RunOptions,
  ): Promise<T> {
    assertAttempts(attempts)
    const note = [work.name === '_' ? '' : work.name, doc].filter((part) => part !== '').join('\n\n')
    for (let number = 1; ; number++) {
      const transaction = await this.#manager.begin()
      if (note !== '') transaction.note(note)
      try {
        const result = await this.#numbered(number, () => work(transaction))
        await this.#manager.commit()
        return result
      } catch (error) {
        if (!(await this.#giveUp(error, transaction, number < attempts))) throw error
      }
    }
  }

  async *attempts(count: number): AsyncGenerator<Attempt, void, undefined> {
    assertAttempts(count)
    for (let number = 1; number <= count; number++) {
      const attempt = new TransactionAttempt(number, (work) =>
        number < count ? this.#block(number, work) : this.#lastBlock(number, work),
      )
      yield attempt
      if (await attempt.succeeded()) return
    }
  }

  async #block(number: number, work: (transaction: Transaction) => unknown): Promise<boolean> {
    const transaction = await this.#manager.begin()
    try {
      await this.#numbered(number, () => work(transaction))
      await this.#manager.commit()
      return true
    } catch (error) {
      if (!(await this.#giveUp(error, transaction, true))) throw error
      return false
    }
  }

  /** Runs Zope's plain block: nobody is asked about retrying, and a failed commit is left to the caller to abort. */
  async #lastBlock(number: number, work: (transaction: Transaction) => unknown): Promise<boolean> {
    const transaction = await this.#manager.begin()
    try {
      await this.#numbered(number, () => work(transaction))
    } catch (error) {
      await this.#giveUp(error, transaction, false)
      throw error
    }
    await this.#manager.commit()
    return true
  }

  async #numbered<T>(number: number, work: () => T | PromiseLike<T>): Promise<T> {
    const before = this.#attempt
    this.#attempt = number
    try {
      return await work()
    } finally {
      this.#attempt = before
    }
  }

  /** Aborts after an error and returns whether to try again. Throws a second error in place of the first, which is reported. */
  async #giveUp(error: unknown, transaction: Transaction, mayRetry: boolean): Promise<boolean> {
    try {
      // Ask before the abort: after it no data manager is left to be asked.
      const retry = mayRetry && (await this.#isRetryable(error))
      await this.#manager.abort()
      return retry
    } catch (second) {
      if (second !== error) coreOf(transaction).calls.suppress(error, 'run')
      throw second
    }
  }

  async #isRetryable(error: unknown): Promise<boolean> {
    return error instanceof TransientError || (await this.#manager.get().isRetryableError(error))
  }
}

function assertAttempts(count: number): void {
  if (Number.isInteger(count) && count >= 1) return
  throw new TransactionUsageError(
    'SQLASSIST_ATTEMPTS_COUNT',
    `The number of attempts must be a whole number from 1, the first try included, and is ${count}.`,
  )
}

/** One block of `manager.attempts()`. Zope: `Attempt`, entered by `with`. */
export interface Attempt {
  /** Counted from 1. */
  readonly number: number

  /**
   * Begins, works and commits; after an error aborts.
   *
   * Keeps a retryable error back unless this is the last attempt: the iteration then goes on with another one.
   *
   * @throws the error of `begin`, the work, `commit` or `abort`, except as above
   */
  run(work: (transaction: Transaction) => unknown): Promise<void>
}

/** One attempt of a {@link Retrier}. */
export class TransactionAttempt implements Attempt {
  readonly number: number
  readonly #block: (work: (transaction: Transaction) => unknown) => Promise<boolean>
  #outcome: Promise<boolean> | undefined

  constructor(number: number, block: (work: (transaction: Transaction) => unknown) => Promise<boolean>) {
    this.number = number
    this.#block = block
  }

  async run(work: (transaction: Transaction) => unknown): Promise<void> {
    this.#outcome = this.#block(work)
    await this.#outcome
  }

  /** Whether the work is done. Waits for a run that nobody awaited. */
  async succeeded(): Promise<boolean> {
    return (await this.#outcome) === true
  }
}
