import { HookList } from './hook-list.ts'

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
