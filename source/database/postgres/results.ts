import type { QueryResult } from 'pg'
import type { StatementResult } from '../database.ts'

const COUNTED = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * Returns no rows and no counts of several statements in one string. `numAffectedRows` is there for those that write
 * rows.
 */
export function resultOf(result: QueryResult | QueryResult[]): StatementResult {
  if (Array.isArray(result)) return { rows: [] }
  const { rows, rowCount, command } = result
  return { rows, command, numAffectedRows: COUNTED.has(command) ? BigInt(rowCount ?? 0) : undefined }
}

/** The results of a string that had `count` statements of ours in front. */
export function withoutFirst(count: number, result: QueryResult | QueryResult[]): QueryResult | QueryResult[] {
  const results = Array.isArray(result) ? result.slice(count) : []
  return results.length === 1 ? (results[0] as QueryResult) : results
}
