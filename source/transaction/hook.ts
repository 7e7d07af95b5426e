/** A hook, called with the arguments it was added with. What it returns is awaited and then dropped. */
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
  /** What it will be called with, but for what an afterCommit hook gets before them. */
  readonly args: readonly unknown[]
}
