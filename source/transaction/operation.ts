import { ConcurrentCallError } from './errors.ts'
import { ContextValue } from './context-value.ts'

/** The calls of a transaction that call out to participants and wait for their answers. */
export type OperationKind = 'begin' | 'commit' | 'abort' | 'savepoint' | 'rollback'

/** The innermost operation that called the code running now. */
const current = new ContextValue<Operation>('operation')

/**
 * One call under way, which knows the calls of its own participants from all others.
 *
 * A participant may call back into the transaction that calls it: such a call is part of the work, by Zope's rules.
 * The same call from a request handler at the same moment is a mistake. Only the asynchronous context separates the two.
 */
export class Operation {
  readonly kind: OperationKind
  #outer = current.get()
  // Set by run, before any other code can ask for it.
  #answer!: Promise<unknown>

  constructor(kind: OperationKind) {
    this.kind = kind
  }

  /** Does the work inside this operation. Calls `onEnd` when the work has settled, before callers that await it go on. */
  run<T>(work: () => Promise<T>, onEnd: () => void): Promise<T> {
    const answer = current.run(this, work)
    const end = () => {
      // Code that goes on in this context, such as a job started by a hook, must not keep earlier operations alive.
      this.#outer = undefined
      onEnd()
    }
    answer.then(end, end)
    this.#answer = answer
    return answer
  }

  /** The outcome of the work, for a call that may share it. */
  get answer(): Promise<unknown> {
    return this.#answer
  }

  /** Whether the code running now was called, directly or not, by this operation. */
  get isInside(): boolean {
    for (let inner = current.get(); inner !== undefined; inner = inner.#outer) if (inner === this) return true
    return false
  }
}

/** The one operation of a transaction that is under way. Refuses or delays other calls that come meanwhile. */
export class UnderWay {
  // The outermost one: calls made from inside it are part of it.
  #operation: Operation | undefined
  #waitingAbort: Promise<void> | undefined

  /** The kind of the operation under way, unless the present call comes from inside it. */
  get outside(): OperationKind | undefined {
    if (this.#operation?.isInside === true) return undefined
    return this.#waitingAbort === undefined ? this.#operation?.kind : 'abort'
  }

  /** The outcome of the operation under way, unless the present call comes from inside it. */
  get outsideAnswer(): Promise<unknown> | undefined {
    if (this.#operation === undefined || this.#operation.isInside) return undefined
    return this.#waitingAbort ?? this.#operation.answer
  }

  /** The operation under way. */
  get operation(): Operation | undefined {
    return this.#operation
  }

  /**
   * Does the work as the operation under way, or inside of it, or refuses.
   *
   * Work that calls nobody waits for nothing: it is over when this returns, so no other call can come in between.
   */
  enter<T>(kind: OperationKind, callsNobody: boolean, work: () => Promise<T>): Promise<T> {
    const outside = this.outside
    if (outside !== undefined) return Promise.reject(new ConcurrentCallError(kind, outside))
    if (this.#operation !== undefined || callsNobody) return work()
    const operation = new Operation(kind)
    this.#operation = operation
    return operation.run(work, () => (this.#operation = undefined))
  }

  /** Shares or waits for the operation under way on behalf of an abort from outside; undefined if there is none to wait for. */
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
