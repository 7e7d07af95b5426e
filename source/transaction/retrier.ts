import { type Attempt, TransactionAttempt } from './attempt.ts'
import { coreOf, type Transaction } from './transaction.ts'
import { TransactionUsageError, TransientError } from './transaction-errors.ts'
import type { TransactionManager } from './transaction-manager.ts'

/** What a unit of work is given, and how it is told about. */
export interface RunOptions {
  /** How often to try at most, the first time included. A whole number from 1; default 3. */
  readonly attempts?: number | undefined
  /** A text for the note of the transaction, below the name of the function. Python has the function's doc string for it. Default: none. */
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
    checkCount(attempts)
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
    checkCount(count)
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

  /** Zope's plain block: nobody is asked about retrying, and a failed commit is left to whoever handles its error. */
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

  /** Aborts after an error, and says whether to try again. An error of this takes the place of the first, which is reported. */
  async #giveUp(error: unknown, transaction: Transaction, mayRetry: boolean): Promise<boolean> {
    try {
      // Before the abort: after it nobody is left to be asked.
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

function checkCount(count: number): void {
  if (Number.isInteger(count) && count >= 1) return
  throw new TransactionUsageError(
    'SQLASSIST_ATTEMPTS_COUNT',
    `The number of attempts must be a whole number from 1, the first try included, and is ${count}.`,
  )
}
