/** What test files share for the length of a run (the PostgreSQL server), closed once by scripts/test.ts. */
const closers: (() => Promise<void>)[] = []

export function closeAtEnd(close: () => Promise<void>): void {
  closers.push(close)
}

export async function closeSharedResources(): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close()
}
