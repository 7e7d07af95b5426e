import { firstWord } from './statement-kind.ts'
import { SqlTokens } from './sql-tokens.ts'

/** Those of PostgreSQL, from the weakest on; the first is the same as the second. */
export const ISOLATION_LEVELS: readonly string[] = [
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
]

const HINT = /isolation/i
const LEVELS = /\b(?:serializable|repeatable read|read committed|read uncommitted)\b/

/** The isolation level that a text of SQL gives its transaction, if it does. PostgreSQL takes one before the first query only. */
export function isolationLevelSetBy(sql: string): string | undefined {
  if (!HINT.test(sql)) return undefined
  const tokens = new SqlTokens(sql, 'postgresql')
  let level: string | undefined
  while (tokens.nextStatement()) {
    if (firstWord(tokens) !== 'set') continue
    const words = restOf(tokens)
    // Of the session it is for later transactions.
    const isOfThis = /^(?:(?:local|session) )?(?:transaction|transaction_isolation) /.test(words)
    if (isOfThis) level = LEVELS.exec(words)?.[0] ?? level
  }
  return level
}

/** The words and the contents of quotes, in small letters. */
function restOf(tokens: SqlTokens): string {
  const words: string[] = []
  while (tokens.nextOfStatement()) words.push(tokens.token.toLowerCase().replaceAll(/^e?["']|["']$/g, ''))
  return words.join(' ')
}
