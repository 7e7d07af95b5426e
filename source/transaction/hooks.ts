import { type CallOut, isThenable } from './call-out.ts'

/** A hook, called with the arguments it was added with. Its answer is awaited and dropped. */
export type Hook<Args extends readonly unknown[] = readonly unknown[]> = (...args: Args) => unknown

/** An afterCommit hook: whether the commit succeeded comes before its own arguments. */
export type AfterCommitHook<Args extends readonly unknown[] = readonly unknown[]> = (
  committed: boolean,
  ...args: Args
) => unknown

/** A hook that has not run yet, as the getters of the transaction list it. */
export interface HookEntry {
  /** The function, as it was added. */
  readonly hook: (...args: never[]) => unknown
  /** The arguments it was added with. */
  readonly args: readonly unknown[]
}

/** Which of the four lists of hooks of a transaction. */
export type HookKind = 'beforeCommit' | 'afterCommit' | 'beforeAbort' | 'afterAbort'

/** The four lists of hooks of one transaction. */
export class Hooks {
  readonly beforeCommit = new HookList('beforeCommitHook')
  readonly afterCommit = new HookList('afterCommitHook')
  readonly beforeAbort = new HookList('beforeAbortHook')
  readonly afterAbort = new HookList('afterAbortHook')

  get isEmpty(): boolean {
    return this.beforeCommit.isEmpty && this.afterCommit.isEmpty && this.beforeAbort.isEmpty && this.afterAbort.isEmpty
  }

  clear(): void {
    this.beforeCommit.clear()
    this.afterCommit.clear()
    this.beforeAbort.clear()
    this.afterAbort.clear()
  }
}

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
   * Runs all hooks, including those added meanwhile, and empties the list at the end of the round, also after an error.
   *
   * A hook that starts a round of its own list therefore runs all of the list once more, itself included.
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
