import { SqlTokens } from '../database/sql-tokens.ts'

/** A statement with `?` for every literal and parameter in it, and a space for every comment. */
export function maskLiterals(sql: string): string {
  const tokens = new SqlTokens(sql, 'any')
  let masked = ''
  while (tokens.next()) masked += maskedToken(tokens)
  return masked
}

function maskedToken({ kind, token }: SqlTokens): string {
  if (kind === 'comment') return ' '
  return kind === 'string' || kind === 'number' || kind === 'parameter' ? '?' : token
}

/** The shape of a statement: without its values, and without the length of its lists. */
export function shapeOf(sql: string): string {
  return maskLiterals(sql)
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\?(?: ?, ?\?)+/g, '?')
    .replace(/\( ?\? ?\)(?: ?, ?\( ?\? ?\))+/g, '(?)')
}
