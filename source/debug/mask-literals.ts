/** Comments, literals, quoted names and placeholders, each up to its end or that of the text. */
const TOKENS = new RegExp(
  [
    /--[^\n]*|\/\*[^]*?(?:\*\/|$)/, // comments
    /"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$)/, // names
    /\$(?<tag>(?:[a-z_]\w*)?)\$[^]*?(?:\$\k<tag>\$|$)/, // dollar-quoted text of PostgreSQL
    /\be'(?:[^'\\]|\\[^]|'')*(?:'|$)|\b[xbn]?'(?:[^']|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)/, // text
    /\$\d+|(?<![\w$])(?:0x[\da-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)/, // placeholders and numbers
  ]
    .map(({ source }) => source)
    .join('|'),
  'gi',
)

/** A statement with `?` for every literal in it, and without comments. */
export function maskLiterals(sql: string): string {
  return sql.replace(TOKENS, (token) => {
    if (token.startsWith('--') || token.startsWith('/*')) return ' '
    return token.startsWith('"') || token.startsWith('`') ? token : '?'
  })
}

/** What a statement is but for the values in it, and for how many they are in a list. */
export function shapeOf(sql: string): string {
  return maskLiterals(sql)
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\?(?: ?, ?\?)+/g, '?')
    .replace(/\( ?\? ?\)(?: ?, ?\( ?\? ?\))+/g, '(?)')
}
