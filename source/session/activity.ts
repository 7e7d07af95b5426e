import { ContextValue } from '../transaction/context-value.ts'

/** In whose operation the running code is: code that hooks and subscribers run. */
const current = new ContextValue<Activity>('activity')

/**
 * The operations of an entity manager that are under way, such as a flush or an insert. One may send several
 * statements, and nobody may judge the session between two of them.
 */
export class Activity {
  #count = 0
  #total = 0
  #idle: PromiseWithResolvers<void> | undefined

  /** How many operations are under way. */
  get count(): number {
    return this.#count
  }

  /** How many there have been. */
  get total(): number {
    return this.#total
  }

  /** Whether the running code was called by one of them. Waiting for it there would have no end. */
  get isInside(): boolean {
    return this.#count > 0 && current.get() === this
  }

  /** Does `work` as an operation, called at once. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#count++
    this.#total++
    try {
      return await current.run(this, work)
    } finally {
      this.#count--
      if (this.#count === 0) this.#end()
    }
  }

  /** Resolves when no operation is under way; undefined where none is. */
  idle(): Promise<void> | undefined {
    if (this.#count === 0) return undefined
    return (this.#idle ??= Promise.withResolvers()).promise
  }

  #end(): void {
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
