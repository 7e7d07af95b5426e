import type { RecordedRequest, RecordedSpan } from './record.ts'

/** What a request cost, in all attempts at it. */
export interface Totals {
  /** How many statements were sent, those not kept included. */
  readonly statements: number
  /** How long at least one of the statements that are kept was on its way. */
  readonly databaseMs: number
  /** How long it was committing; undefined where it did not. */
  readonly commitMs: number | undefined
  /** How many of the statements that are kept ended in an error. */
  readonly failed: number
}

export function totalsOf({ attempts }: RecordedRequest): Totals {
  const statements = attempts.flatMap((attempt) => attempt.statements)
  const dropped = attempts.reduce((sum, attempt) => sum + attempt.dropped.statements, 0)
  const commits = attempts.flatMap(({ steps, ends }) => [
    ...steps.filter(({ step }) => step === 'commit'),
    // Those of roles that commit by themselves come when the transaction is over.
    ...ends.filter(({ how }) => how === 'commit' || how === 'prepare' || how === 'commit prepared'),
  ])
  return {
    statements: statements.length + dropped,
    databaseMs: coveredMs(statements),
    commitMs: commits.length === 0 ? undefined : coveredMs(commits),
    failed: statements.filter(({ error }) => error !== undefined).length,
  }
}

/** How long at least one of these was under way; one that still is counts for nothing. */
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
