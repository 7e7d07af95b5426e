/**
 * Counts the things under way, and lets callers wait until there are none.
 *
 * A Set of them would keep ended ones in memory. A Set that is added to and deleted from outgrows its table every few
 * requests; V8 does not empty that table, which leads to the next one.
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
