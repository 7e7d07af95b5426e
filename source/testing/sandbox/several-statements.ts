import { SqlTokens } from '../../database/sql-tokens.ts'

const MENTIONS_SAVEPOINT = /\b(?:savepoint|release|rollback)\b/i

/** The statements of a text that may set savepoints among others, which the frames of a sandbox keep account of. */
export function severalStatements(sql: string): readonly string[] {
  if (!sql.includes(';') || !MENTIONS_SAVEPOINT.test(sql)) return [sql]
  const statements: string[] = []
  const tokens = new SqlTokens(sql, 'postgresql')
  while (tokens.nextStatement()) {
    const start = tokens.end
    let isEmpty = true
    while (tokens.nextOfStatement()) isEmpty = false
    if (!isEmpty) statements.push(sql.slice(start, tokens.isAtEnd ? sql.length : tokens.start))
  }
  return statements
}
