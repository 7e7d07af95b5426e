/** Says to what waits that nobody waits for it any more. Many may listen, where an AbortSignal would warn of a leak. */
export class Cancelling {
  readonly #listeners = new Set<() => void>()
  #isOver = false

  get isOver(): boolean {
    return this.#isOver
  }

  /** Returns what ends that. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  cancel(): void {
    this.#isOver = true
    for (const listener of this.#listeners) listener()
  }
}
