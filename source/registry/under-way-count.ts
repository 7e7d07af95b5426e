/**
 * Counts what is under way, and tells when nothing is.
 *
 * A Set of those under way would keep many that have ended in memory: V8 does not empty a table that a Set has outgrown, a
 * Set that is added to and deleted from outgrows one every few requests, and each of them leads to the next.
 */
export class UnderWayCount {
  #count = 0
  #empty: PromiseWithResolvers<void> | undefined

  get count(): number {
    return this.#count
  }

  add(): void {
    this.#count++
  }

  remove(): void {
    this.#count--
    if (this.#count > 0) return
    this.#empty?.resolve()
    this.#empty = undefined
  }

  /** Resolves when nothing is under way. */
  async whenEmpty(): Promise<void> {
    if (this.#count === 0) return
    this.#empty ??= Promise.withResolvers()
    await this.#empty.promise
  }
}
