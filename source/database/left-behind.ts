import { leftoversAmong, type Leftovers } from './leftovers.ts'
import type { Relations } from './relations.ts'

/** What was sent over a connection since it was clean, as far as it may have left something there. */
export class LeftBehind {
  readonly #relations: () => Relations
  #most: Leftovers = 'none'

  constructor(relations: () => Relations) {
    this.#relations = relations
  }

  /** Whether there may be anything. */
  get isPossible(): boolean {
    return this.#most !== 'none'
  }

  /** Whether there is something for sure, such as a lock that somebody waits for. */
  get isCertain(): boolean {
    return this.#most === 'some'
  }

  /** Notes a statement. `isRaw`: the program wrote it. */
  note(sql: string, isRaw: boolean): void {
    if (this.#most === 'some') return
    const left = leftoversAmong(sql, isRaw, this.#relations())
    if (left !== 'none') this.#most = left
  }

  /** Notes that anything may have been left. */
  doubt(): void {
    if (this.#most === 'none') this.#most = 'unknown'
  }

  /** The connection is clean again. */
  clear(): void {
    this.#most = 'none'
  }
}
