import { type CallOut, isThenable } from './call-out.ts'
import type { Synchronizer } from './synchronizer.ts'
import type { Transaction } from './transaction.ts'

/** The synchronizers of one manager: each once, in order of registration, and none kept alive by being in it. */
export class SynchronizerSet {
  // Made when first needed: most managers live for one request and never have a synchronizer.
  #members: Members | undefined

  /** Keeps the place of one that is there already. */
  add(synchronizer: Synchronizer): void {
    this.#members ??= new Members()
    this.#members.add(synchronizer)
  }

  /** Whether it was there. */
  delete(synchronizer: Synchronizer): boolean {
    return this.#members !== undefined && this.#members.delete(synchronizer)
  }

  clear(): void {
    this.#members = undefined
  }

  /** Whether a round would call nobody. One that was collected, and not yet noticed, counts as somebody. */
  get isEmpty(): boolean {
    return this.#members === undefined || this.#members.isEmpty
  }

  get hasAny(): boolean {
    return this.#alive().length > 0
  }

  /** One round: calls those that are here now, in order; the first error ends it. */
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
