import { EndlessFlushError } from './errors.ts'

const MOST = 100

/** Counts how often one session is waited for or flushed for what is brought up by that. */
export class Rounds {
  readonly #role: string
  #count = 0

  constructor(role: string) {
    this.#role = role
  }

  /** @throws EndlessFlushError when it has been too often */
  next(): void {
    if (++this.#count > MOST) throw new EndlessFlushError([this.#role], MOST)
  }
}
