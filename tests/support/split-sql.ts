/** Strings, identifiers, comments and dollar quotes, in which a semicolon separates nothing; else the semicolon. */
const TOKEN =
  /\be'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([a-z_]\w*|)\$[\s\S]*?\$\1\$|;/gi

/** The statements of a simple query, without their semicolons: `begin;insert ...` gives `begin` and `insert ...`. */
export function splitSql(text: string): string[] {
  const statements: string[] = []
  let start = 0
  for (const token of text.matchAll(TOKEN)) {
    if (token[0] !== ';') continue
    statements.push(text.slice(start, token.index))
    start = token.index + 1
  }
  statements.push(text.slice(start))
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== '')
}
