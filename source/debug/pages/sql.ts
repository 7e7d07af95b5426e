import { SqlTokens, type SqlTokenKind } from '../../database/sql-tokens.ts'
import { html, type Html } from './html.ts'

const KEYWORDS = new Set(
  (
    'all and any as asc begin between by case commit conflict constraint create cross default delete desc distinct do drop ' +
    'else end except exists false fetch first for from full group having if ilike in inner insert intersect into is join key ' +
    'last lateral left like limit natural not nothing null nulls of offset on or order outer over partition prepare prepared ' +
    'primary recursive references release returning right rollback row rows savepoint select set share skip locked table then to ' +
    'transaction true truncate union unique update using values view when where with'
  ).split(' '),
)

const CLASSES: Readonly<Partial<Record<SqlTokenKind, string>>> = {
  comment: 'sql-note',
  string: 'sql-text',
  number: 'sql-value',
  parameter: 'sql-value',
}

/** A statement with its parts in colour. */
export function sql(text: string): Html {
  const parts: unknown[] = []
  const tokens = new SqlTokens(text, 'any')
  let plain = 0
  while (tokens.next()) {
    const name = classOf(tokens)
    if (name === undefined) continue
    parts.push(text.slice(plain, tokens.start), html`<span class="${name}">${tokens.token}</span>`)
    plain = tokens.end
  }
  return html`${parts}${text.slice(plain)}`
}

function classOf({ kind, word }: SqlTokens): string | undefined {
  return kind === 'word' && KEYWORDS.has(word) ? 'sql-key' : CLASSES[kind]
}
