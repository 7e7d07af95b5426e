import type { Transaction } from './transaction.ts'

/** One block of `manager.attempts()`. Zope: `Attempt`, entered by `with`. */
export interface Attempt {
  /** Counted from 1. */
  readonly number: number

  /**
   * Begins, works and commits. After an error the transaction is aborted; if the error is retryable and this is not the last
   * attempt it is kept back, and the iteration goes on with another attempt.
   *
   * @throws whatever `begin`, the work, `commit` or `abort` throws, except as above
   */
  run(work: (transaction: Transaction) => unknown): Promise<void>
}

/** The attempt as the iteration knows it. */
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

  /** Whether the work is done. Waits for a run that nobody waited for. */
  async succeeded(): Promise<boolean> {
    return (await this.#outcome) === true
  }
}
