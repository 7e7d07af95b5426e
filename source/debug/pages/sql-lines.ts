import { SqlTokens } from '../../database/sql-tokens.ts'

/** Up to this length a statement is read in one line. */
const LINE_CHARACTERS = 80
const INDENT = '  '
/** The words that begin a part of a statement. */
const CLAUSE =
  /(?:(?:(?:left|right|full|inner|cross|natural)\s+(?:outer\s+)?)?join|select|from|where|group\s+by|order\s+by|having|limit|offset|set|values|returning|on\s+conflict|union|intersect|except|for\s+(?:no\s+key\s+)?(?:update|share))\b/iy
/** Words whose `from` belongs to them. */
const WITH_FROM = new Set(['delete', 'distinct'])
const SUBQUERY = /\s*(?:select|with|insert|update|delete)\b/iy

/**
 * A long statement with a line for each of its parts. Only spaces between its words become line breaks; a statement that
 * its author wrote in lines stays as it is.
 */
export function sqlLines(text: string): string {
  if (text.length <= LINE_CHARACTERS || text.trim().includes('\n')) return text
  const tokens = new SqlTokens(text, 'any')
  const parts: string[] = []
  /** Of each open bracket, whether a query of its own is inside. */
  const brackets: boolean[] = []
  let clauseEnd = 0
  let before = ''
  while (tokens.next()) {
    const { kind, start, token } = tokens
    if (tokens.is('(')) brackets.push(matchesAt(SUBQUERY, text, tokens.end))
    else if (tokens.is(')')) brackets.pop()
    if (kind === 'word' && start >= clauseEnd && brackets.at(-1) !== false && matchesAt(CLAUSE, text, start)) {
      clauseEnd = CLAUSE.lastIndex
      const isOwn = tokens.word !== 'from' || !WITH_FROM.has(before)
      const indent = INDENT.repeat(brackets.filter(Boolean).length)
      if (isOwn && parts.at(-1)?.trim() === '') parts[parts.length - 1] = `\n${indent}`
    }
    parts.push(token)
    if (kind !== 'space') before = tokens.word
  }
  return parts.join('')
}

function matchesAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at
  return pattern.test(text)
}
