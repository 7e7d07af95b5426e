import type { Framed } from './framed.ts'

/** Which of the rows that a connection has written are whose: one counter is there for all frames. */
export class WritesOfFrames {
  readonly #own = new Map<Framed, number>()
  /** The one that writes; undefined as long as nobody has asked. */
  #running: Framed | undefined
  /** What the counter was as it began. */
  #since = 0

  /** How many rows `frame` has written since somebody asked for the first time. */
  async of(frame: Framed, count: () => Promise<number>): Promise<number> {
    await this.#change(frame, count)
    return this.#own.get(frame) ?? 0
  }

  /** From here on `frame` writes. */
  async goOn(frame: Framed, count: () => Promise<number>): Promise<void> {
    if (this.#running !== undefined && this.#running !== frame && !frame.onlyReads) await this.#change(frame, count)
  }

  async #change(frame: Framed, count: () => Promise<number>): Promise<void> {
    const now = await count()
    const before = this.#running
    if (before !== undefined) this.#own.set(before, (this.#own.get(before) ?? 0) + now - this.#since)
    this.#running = frame
    this.#since = now
  }

  clear(): void {
    this.#own.clear()
    this.#running = undefined
  }
}
