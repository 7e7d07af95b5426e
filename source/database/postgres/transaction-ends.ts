import type { QueryResult } from 'pg'
import type { EndedHow } from '../errors.ts'

type Results = QueryResult | readonly QueryResult[]

/** Command tags of statements that begin a transaction or end one. ROLLBACK is also that of a way back to a savepoint. */
const ENDS = new Set(['BEGIN', 'START', 'COMMIT'])
const GOES_BACK = /\brollback\b[^;]*\bto\b/i

/** Whether one of several statements in `sql` ended the transaction: another one may be open now. */
export function endsTransaction(results: Results, sql: string): boolean {
  if (!('at' in results)) return false
  return results.some(({ command }) => ENDS.has(command) || (command === 'ROLLBACK' && !GOES_BACK.test(sql)))
}

/** What became of a transaction that these have ended. */
export function outcomeOf(results: Results): EndedHow {
  const commands = [results].flat().map(({ command }) => command)
  if (commands.includes('COMMIT')) return 'committed'
  return commands.includes('ROLLBACK') ? 'rolled back' : 'unknown'
}
