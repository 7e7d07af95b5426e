import type { DataManager, Transaction } from '../../source/transaction/index.ts'

export type Method = 'abort' | 'tpcBegin' | 'commit' | 'tpcVote' | 'tpcFinish' | 'tpcAbort'

type Play = Partial<Record<Method, (transaction: Transaction) => unknown>>

/** A data manager that notes its calls and answers as `play` says. Its name is its sort key. */
export class Recorder implements DataManager {
  readonly name: string
  readonly log: string[]
  readonly play: Play

  constructor(name: string, log: string[], play: Play = {}) {
    this.name = name
    this.log = log
    this.play = play
  }

  abort(transaction: Transaction): void | Promise<void> {
    return this.#called('abort', transaction)
  }

  tpcBegin(transaction: Transaction): void | Promise<void> {
    return this.#called('tpcBegin', transaction)
  }

  commit(transaction: Transaction): void | Promise<void> {
    return this.#called('commit', transaction)
  }

  tpcVote(transaction: Transaction): void | Promise<void> {
    return this.#called('tpcVote', transaction)
  }

  tpcFinish(transaction: Transaction): void | Promise<void> {
    return this.#called('tpcFinish', transaction)
  }

  tpcAbort(transaction: Transaction): void | Promise<void> {
    return this.#called('tpcAbort', transaction)
  }

  sortKey(): string {
    return this.name
  }

  #called(method: Method, transaction: Transaction): void | Promise<void> {
    this.log.push(`${this.name}.${method}`)
    return this.play[method]?.(transaction) as void | Promise<void>
  }
}

/** One that has savepoints too. */
export class SavingRecorder extends Recorder {
  onSavepoint: () => unknown = () => undefined
  onRollback: () => unknown = () => undefined

  async savepoint(): Promise<{ rollback(): Promise<void> }> {
    this.log.push(`${this.name}.savepoint`)
    await this.onSavepoint()
    return {
      rollback: async () => {
        this.log.push(`${this.name}.rollback`)
        await this.onRollback()
      },
    }
  }
}

/** Something to wait at: `await latch.reached` outside, `await latch.pass()` in what is to stop there until `open()`. */
export class Latch {
  readonly #reached = Promise.withResolvers<void>()
  readonly #opened = Promise.withResolvers<void>()
  readonly reached = this.#reached.promise
  readonly open = this.#opened.resolve

  async pass(): Promise<void> {
    this.#reached.resolve()
    await this.#opened.promise
  }
}

/** The value a call throws or its promise rejects with; a call that does neither fails the test. */
export async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

/** A promise that never settles. */
export function forever(): Promise<never> {
  return new Promise(() => {})
}
