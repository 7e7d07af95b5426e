import { AsyncLocalStorage } from 'node:async_hooks'

/** What can be under way on a transaction: a call that calls out to participants and waits for their answers. */
export type OperationKind = 'begin' | 'commit' | 'abort' | 'savepoint' | 'rollback'

/** The operation that the code running now was called by, the innermost one. Entered only while one calls out. */
const current = new AsyncLocalStorage<Operation>()

/**
 * One call under way, which can tell the calls of its own participants from those of anybody else.
 *
 * A data manager, hook or synchronizer may call back into the transaction that calls it: that is part of the work, and
 * Zope's rules say what happens. The same call from a request handler at the same moment is a mistake. Nothing but the
 * asynchronous context can tell the two apart.
 */
export class Operation {
  readonly kind: OperationKind
  #outer = current.getStore()
  // Set before anybody outside can ask for it.
  #answer!: Promise<unknown>

  constructor(kind: OperationKind) {
    this.kind = kind
  }

  /** Does the work inside this operation; `onEnd` runs when it has settled, before anybody who waits for it goes on. */
  run<T>(work: () => Promise<T>, onEnd: () => void): Promise<T> {
    const answer = current.run(this, work)
    const end = () => {
      // Who goes on in this context later (a job started by a hook, say) must not keep all operations before it alive.
      this.#outer = undefined
      onEnd()
    }
    answer.then(end, end)
    this.#answer = answer
    return answer
  }

  /** The outcome of the work, for who may share it. */
  get answer(): Promise<unknown> {
    return this.#answer
  }

  /** Whether the code running now was called, directly or not, by this operation. */
  get isInside(): boolean {
    for (let inner = current.getStore(); inner !== undefined; inner = inner.#outer) if (inner === this) return true
    return false
  }
}
