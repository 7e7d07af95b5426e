import { type CallOut, isThenable } from './call-out.ts'
import type { HookEntry } from './hook.ts'

/** The hooks of one kind of one transaction. */
export class HookList {
  readonly #kind: string
  readonly #entries: HookEntry[] = []

  constructor(kind: string) {
    this.#kind = kind
  }

  add(hook: HookEntry['hook'], args: readonly unknown[]): void {
    this.#entries.push({ hook, args })
  }

  get pending(): readonly HookEntry[] {
    return [...this.#entries]
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  clear(): void {
    this.#entries.length = 0
  }

  /**
   * One round over all hooks, those added meanwhile included. The list stays as it is until the round ends, in whatever way,
   * and is then emptied: so a hook that starts a round of its own list runs all of it once more, itself included.
   */
  async round(calls: CallOut, before: readonly unknown[], onError: 'throw' | 'suppress'): Promise<void> {
    const entries = this.#entries
    try {
      for (let index = 0; index < entries.length; index++) {
        const { hook, args } = entries[index] as HookEntry
        try {
          calls.announce(this.#kind, hook)
          const answer = (hook as (...args: unknown[]) => unknown)(...before, ...args)
          if (isThenable(answer)) await calls.settle(answer, this.#kind, hook)
        } catch (error) {
          if (onError === 'throw') throw error
          calls.suppress(error, this.#kind, hook)
        }
      }
    } finally {
      this.clear()
    }
  }
}
