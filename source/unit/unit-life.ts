/** The stages of a unit of work, and the stages that may follow. A unit without a transaction ends at once. */
const MOVES = { open: ['ending', 'ended'], ending: ['ended'], ended: [] } as const satisfies Record<string, string[]>

type Stage = keyof typeof MOVES

/** Why a unit of work was cancelled, and the abort of its transaction. */
interface Cancellation {
  readonly reason: Error
  /** Undefined where no transaction was to be aborted. It never rejects. */
  readonly aborting: Promise<void> | undefined
}

/** How far a unit of work has come. A cancellation from outside may come in every stage. */
export class UnitLife {
  #stage: Stage = 'open'
  #cancellation: Cancellation | undefined

  /** Whether its end has begun and is not over. */
  get isEnding(): boolean {
    return this.#stage === 'ending'
  }

  get ended(): boolean {
    return this.#stage === 'ended'
  }

  moveTo(stage: Stage): void {
    const next: readonly Stage[] = MOVES[this.#stage]
    if (!next.includes(stage)) throw new TypeError(`A unit of work that is ${this.#stage} cannot be ${stage}.`)
    this.#stage = stage
  }

  /** The reason of the cancellation, if there was one. */
  get cancelled(): Error | undefined {
    return this.#cancellation?.reason
  }

  /** The abort that the cancellation began. */
  get aborting(): Promise<void> | undefined {
    return this.#cancellation?.aborting
  }

  cancel(reason: Error, aborting?: Promise<void>): void {
    this.#cancellation = { reason, aborting }
  }
}
