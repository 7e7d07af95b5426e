/** Rejections that nobody handles, and exceptions that nobody catches. */
import process from 'node:process'
import { setImmediate as turn } from 'node:timers/promises'
import { shown } from './errors.ts'
import type { Lie } from './record.ts'

export class Strays {
  readonly #running = new Set<number>()
  readonly #suspects = new Set<number>()
  #found: Lie[] = []
  readonly #rejected = (reason: unknown): void => this.#note('unhandled rejection', reason)
  readonly #thrown = (error: unknown): void => this.#note('uncaught exception', error)

  constructor() {
    process.on('unhandledRejection', this.#rejected)
    process.on('uncaughtException', this.#thrown)
  }

  /** The programs that ran when one came; each has to be run alone to know. */
  get suspects(): number[] {
    return [...this.#suspects]
  }

  async with<T>(index: number, work: () => Promise<T>): Promise<T> {
    this.#running.add(index)
    try {
      return await work()
    } finally {
      await turn()
      this.#running.delete(index)
    }
  }

  /** Runs `work` while nothing else runs. */
  async alone<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly found: readonly Lie[] }> {
    this.#found = []
    const result = await work()
    await turn()
    return { result, found: this.#found }
  }

  stop(): void {
    process.off('unhandledRejection', this.#rejected)
    process.off('uncaughtException', this.#thrown)
  }

  #note(kind: string, error: unknown): void {
    this.#found.push({ kind, what: shown(error) })
    for (const index of this.#running) this.#suspects.add(index)
  }
}
