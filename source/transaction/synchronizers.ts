import { type CallOut, isThenable } from './call-out.ts'
import type { Transaction } from './transaction.ts'

/**
 * A listener to every transaction of a manager: `manager.registerSynch(synchronizer)`.
 *
 * The manager holds it weakly, so keep a reference to it. Every method may answer at once or with a promise.
 * Zope: `ISynchronizer`.
 */
export interface Synchronizer {
  /** Called when a commit or an abort begins. An error breaks a commit off; an abort goes on and throws it at its end. */
  beforeCompletion(transaction: Transaction): void | PromiseLike<void>

  /** Called when a commit that got as far as its two phases, or an abort, is over. An error comes out of it. */
  afterCompletion(transaction: Transaction): void | PromiseLike<void>

  /** Called when `begin` made this transaction, and when registering while one is current. */
  newTransaction(transaction: Transaction): void | PromiseLike<void>
}

/** The synchronizers of one manager: each once, in order of registration, and held weakly. */
export class SynchronizerSet {
  // Made when first needed: most managers live for one request and never have a synchronizer.
  #members: Members | undefined

  /** Adds a synchronizer at the end; one that is there already keeps its place. */
  add(synchronizer: Synchronizer): void {
    this.#members ??= new Members()
    this.#members.add(synchronizer)
  }

  /** Removes a synchronizer and returns whether it was there. */
  delete(synchronizer: Synchronizer): boolean {
    return this.#members !== undefined && this.#members.delete(synchronizer)
  }

  clear(): void {
    this.#members = undefined
  }

  /** Whether a round would call nobody. A collected synchronizer counts until the next round notices. */
  get isEmpty(): boolean {
    return this.#members === undefined || this.#members.isEmpty
  }

  get hasAny(): boolean {
    return this.#alive().length > 0
  }

  /** Calls all synchronizers in order; the first error ends the round. */
  async round(method: keyof Synchronizer, transaction: Transaction, calls: CallOut): Promise<void> {
    for (const synchronizer of this.#alive()) await callOne(synchronizer, method, transaction, calls)
  }

  #alive(): readonly Synchronizer[] {
    return this.#members === undefined ? [] : this.#members.alive()
  }
}

/** Calls one synchronizer. */
export async function callOne(
  synchronizer: Synchronizer,
  method: keyof Synchronizer,
  transaction: Transaction,
  calls: CallOut,
): Promise<void> {
  calls.announce(method, synchronizer)
  const answer = synchronizer[method](transaction)
  if (isThenable(answer)) await calls.settle(answer, method, synchronizer)
}

/** A set that has an order and holds its members weakly. */
class Members {
  readonly #order = new Set<WeakRef<Synchronizer>>()
  readonly #references = new WeakMap<Synchronizer, WeakRef<Synchronizer>>()

  get isEmpty(): boolean {
    return this.#order.size === 0
  }

  add(synchronizer: Synchronizer): void {
    if (this.#references.has(synchronizer)) return
    const reference = new WeakRef(synchronizer)
    this.#references.set(synchronizer, reference)
    this.#order.add(reference)
  }

  delete(synchronizer: Synchronizer): boolean {
    const reference = this.#references.get(synchronizer)
    this.#references.delete(synchronizer)
    return reference !== undefined && this.#order.delete(reference)
  }

  alive(): readonly Synchronizer[] {
    const alive: Synchronizer[] = []
    for (const reference of this.#order) {
      const synchronizer = reference.deref()
      if (synchronizer === undefined) this.#order.delete(reference)
      else alive.push(synchronizer)
    }
    return alive
  }
}
