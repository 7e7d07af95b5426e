/** Says to what waits that nobody waits for it any more. Many may listen, where an AbortSignal would warn of a leak. */
export class Cancelling {
  #listeners: Set<() => void> | undefined
  #isOver = false

  get isOver(): boolean {
    return this.#isOver
  }

  /** Returns what ends that. */
  listen(listener: () => void): () => void {
    const listeners = (this.#listeners ??= new Set())
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  cancel(): void {
    this.#isOver = true
    for (const listener of this.#listeners ?? []) listener()
  }
}

/** What waits may be asked for it, and only what waits needs it. */
export interface Cancellable {
  readonly cancelling: Cancelling
}
