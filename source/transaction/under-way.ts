import { Operation, type OperationKind } from './operation.ts'
import { ConcurrentCallError } from './transaction-errors.ts'

/** The one call of a transaction that is under way, and what becomes of others that come meanwhile. */
export class UnderWay {
  // The outermost one: calls made from inside it are part of it.
  #operation: Operation | undefined
  #waitingAbort: Promise<void> | undefined

  /** What is under way and is not what led to the present call. */
  get outside(): OperationKind | undefined {
    if (this.#operation?.isInside === true) return undefined
    return this.#waitingAbort === undefined ? this.#operation?.kind : 'abort'
  }

  /** The outcome of what is under way and did not lead to the present call. */
  get outsideAnswer(): Promise<unknown> | undefined {
    if (this.#operation === undefined || this.#operation.isInside) return undefined
    return this.#waitingAbort ?? this.#operation.answer
  }

  /** The one under way. */
  get operation(): Operation | undefined {
    return this.#operation
  }

  /**
   * Does the work as the call under way, or inside of it, or refuses. One that calls nobody, and so waits for nothing, is over
   * when this returns: nothing can come in between.
   */
  enter<T>(kind: OperationKind, callsNobody: boolean, work: () => Promise<T>): Promise<T> {
    const outside = this.outside
    if (outside !== undefined) return Promise.reject(new ConcurrentCallError(kind, outside))
    if (this.#operation !== undefined || callsNobody) return work()
    const operation = new Operation(kind)
    this.#operation = operation
    return operation.run(work, () => (this.#operation = undefined))
  }

  /** What an abort from outside comes to when something is under way that it can share or wait for; otherwise nothing. */
  abortOutside(abort: () => Promise<void>): Promise<void> | undefined {
    const operation = this.#operation
    if (operation?.isInside === true) return undefined
    if (this.#waitingAbort !== undefined || operation === undefined) return this.#waitingAbort
    if (operation.kind === 'commit') return undefined
    if (operation.kind === 'abort') return operation.answer as Promise<void>
    const abortNow = () => {
      this.#waitingAbort = undefined
      return abort()
    }
    this.#waitingAbort = operation.answer.then(abortNow, abortNow)
    return this.#waitingAbort
  }
}
