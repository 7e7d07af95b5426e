const PAUSE_MS = 0.05
const cell = new Int32Array(new SharedArrayBuffer(4))

/**
 * Carries out what it is given a fixed time later, in order, however much is under way at once: a latency, not a limit.
 *
 * Node's timers have whole milliseconds, which is too coarse. So while something is nearly due the process sleeps in short
 * pauses and looks at its sockets in between. A pause blocks the process for about a tenth of a millisecond.
 */
export class DelayLine {
  readonly #ms: number
  readonly #queue: { readonly due: number; readonly work: () => void }[] = []
  #ticking = false

  constructor(ms: number) {
    this.#ms = ms
  }

  add(work: () => void): void {
    this.#queue.push({ due: performance.now() + this.#ms, work })
    if (this.#ticking) return
    this.#ticking = true
    this.#tick()
  }

  #tick = (): void => {
    while (this.#queue[0] !== undefined && this.#queue[0].due <= performance.now()) this.#queue.shift()!.work()
    const [next] = this.#queue
    if (next === undefined) {
      this.#ticking = false
      return
    }
    const leftMs = next.due - performance.now()
    // A timer comes up to a millisecond late.
    if (leftMs > 2.5) {
      setTimeout(this.#tick, Math.floor(leftMs - 1.5))
      return
    }
    if (leftMs > 0) Atomics.wait(cell, 0, 0, Math.min(leftMs, PAUSE_MS))
    setImmediate(this.#tick)
  }
}
