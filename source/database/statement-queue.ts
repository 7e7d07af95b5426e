/** Lets one in after the other, in the order in which they came. */
export class StatementQueue {
  #taken = false
  #turns = 0
  #waiting: (() => void)[] | undefined
  #free: PromiseWithResolvers<void> | undefined

  /** Whether somebody has a turn. */
  get isTaken(): boolean {
    return this.#taken
  }

  /** How many turns were asked for. */
  get turns(): number {
    return this.#turns
  }

  /** Whether somebody waits for the turn after the present one. */
  get hasWaiting(): boolean {
    return this.#waiting !== undefined && this.#waiting.length > 0
  }

  /** Takes a turn, at once where there is nothing to wait for; the caller owes `leave`. */
  enter(): Promise<void> | undefined {
    this.#turns++
    if (this.#taken) {
      const waiting = (this.#waiting ??= [])
      return new Promise((resolve) => waiting.push(resolve))
    }
    this.#taken = true
    return undefined
  }

  /** Hands the turn to the one who came next. */
  leave(): void {
    const next = this.#waiting?.shift()
    if (next === undefined) this.#end()
    else next()
  }

  /** Resolves when nobody has a turn; undefined where that is so. Two that wait by it do not wait for each other. */
  whenFree(): Promise<void> | undefined {
    return this.#taken ? (this.#free ??= Promise.withResolvers()).promise : undefined
  }

  #end(): void {
    this.#taken = false
    this.#free?.resolve()
    this.#free = undefined
  }
}
