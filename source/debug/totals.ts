import type { RecordedRequest, RecordedSpan } from './record.ts'

/** The cost of a request in all attempts. */
export interface Totals {
  /** How many statements were sent, including those not kept. */
  readonly statements: number
  /** How long at least one of the kept statements was under way. */
  readonly databaseMs: number
  /** How long its commit took; undefined where it did not commit. */
  readonly commitMs: number | undefined
  /** How many of the kept statements failed. */
  readonly failed: number
}

export function totalsOf({ attempts }: RecordedRequest): Totals {
  const statements = attempts.flatMap((attempt) => attempt.statements)
  const dropped = attempts.reduce((sum, attempt) => sum + attempt.dropped.statements, 0)
  const commits = attempts.flatMap(({ steps, ends }) => [
    ...steps.filter(({ step }) => step === 'commit'),
    // Autonomous roles commit when the transaction is over.
    ...ends.filter(({ how }) => how === 'commit' || how === 'prepare' || how === 'commit prepared'),
  ])
  return {
    statements: statements.length + dropped,
    databaseMs: coveredMs(statements),
    commitMs: commits.length === 0 ? undefined : coveredMs(commits),
    failed: statements.filter(({ error }) => error !== undefined).length,
  }
}

/** How long at least one of the spans was under way; unfinished ones do not count. */
function coveredMs(spans: readonly RecordedSpan[]): number {
  let covered = 0
  let until = -Infinity
  for (const { atMs, tookMs } of spans.toSorted((one, other) => one.atMs - other.atMs)) {
    if (tookMs === undefined) continue
    const end = atMs + tookMs
    covered += Math.max(0, end - Math.max(atMs, until))
    until = Math.max(until, end)
  }
  return covered
}
