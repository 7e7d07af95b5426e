import { CallTimeoutError } from './errors.ts'
import { callChannel, type CallMessage } from './transaction-channels.ts'
import type { Transaction } from './transaction.ts'
import { type OnSuppressedError, type Suppressed, type SuppressedWhere, warnOfSuppressedError } from './warnings.ts'

/** The options of a manager about calling participants. */
export interface CallOutSettings {
  readonly timeoutMs: number | undefined
  readonly onSuppressedError: OnSuppressedError
}

/** Calls the participants of one transaction: limits the wait for an answer and keeps errors that nobody sees. */
export class CallOut {
  readonly #transaction: Transaction
  readonly #settings: CallOutSettings
  #suppressed: Suppressed[] | undefined

  constructor(transaction: Transaction, settings: CallOutSettings) {
    this.#transaction = transaction
    this.#settings = settings
  }

  get suppressed(): readonly Suppressed[] {
    return this.#suppressed === undefined ? [] : [...this.#suppressed]
  }

  /** Publishes that a participant is about to be called. */
  announce(method: string, participant: object): void {
    if (!callChannel.hasSubscribers) return
    callChannel.publish({ transaction: this.#transaction, method, participant } satisfies CallMessage)
  }

  /** Waits for an answer, at most `timeoutMs`. Drops an answer that comes later; reports a later error. */
  settle<T>(answer: PromiseLike<T>, method: string, participant: object): PromiseLike<T> {
    const { timeoutMs } = this.#settings
    if (timeoutMs === undefined) return answer
    return new Promise<T>((resolve, reject) => {
      let expired = false
      const timer = setTimeout(() => {
        expired = true
        reject(new CallTimeoutError(method, participant, timeoutMs))
      }, timeoutMs)
      Promise.resolve(answer).then(
        (value) => {
          clearTimeout(timer)
          resolve(value)
        },
        (error: unknown) => {
          clearTimeout(timer)
          if (expired) this.suppress(error, method, participant)
          else reject(error)
        },
      )
    })
  }

  /** Keeps an error that no caller gets to see, and reports it. Never throws. */
  suppress(error: unknown, method: string, participant?: object): void {
    const transaction = this.#transaction
    const where = participant === undefined ? { method, transaction } : { method, participant, transaction }
    this.#suppressed ??= []
    this.#suppressed.push({ error, where })
    try {
      this.#settings.onSuppressedError(error, where)
    } catch (second) {
      warnOfSuppressedError(error, where)
      warnOfSuppressedError(second, { method: 'onSuppressedError', transaction } satisfies SuppressedWhere)
    }
  }
}

/** Whether an answer has to be awaited. Not awaiting the others saves a turn of the microtask queue. */
export function isThenable<T>(answer: T | PromiseLike<T>): answer is PromiseLike<T> {
  return (
    ((typeof answer === 'object' && answer !== null) || typeof answer === 'function') &&
    typeof (answer as { then?: unknown }).then === 'function'
  )
}
