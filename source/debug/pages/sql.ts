import { html, type Html } from './html.ts'

const TOKENS =
  /(?<comment>--[^\n]*|\/\*[^]*?(?:\*\/|$))|(?<text>'(?:[^']|'')*(?:'|$))|(?<name>"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$))|(?<word>[a-z_][\w$]*)|(?<number>\d+(?:\.\d+)?)|(?<mark>\?|\$\d+)/gi

const KEYWORDS = new Set(
  (
    'all and any as asc begin between by case commit conflict constraint create cross default delete desc distinct do drop ' +
    'else end except exists false fetch first for from full group having if ilike in inner insert intersect into is join key ' +
    'last lateral left like limit natural not nothing null nulls of offset on or order outer over partition prepare prepared ' +
    'primary recursive references release returning right rollback row rows savepoint select set share skip locked table then to ' +
    'transaction true truncate union unique update using values view when where with'
  ).split(' '),
)

/** A statement with its parts in colour. */
export function sql(text: string): Html {
  const parts: unknown[] = []
  let from = 0
  for (const token of text.matchAll(TOKENS)) {
    const kind = kindOf(token.groups ?? {})
    if (kind === undefined) continue
    parts.push(text.slice(from, token.index), html`<span class="${kind}">${token[0]}</span>`)
    from = token.index + token[0].length
  }
  return html`${parts}${text.slice(from)}`
}

function kindOf({
  comment,
  text,
  word,
  number,
  mark,
}: Readonly<Record<string, string | undefined>>): string | undefined {
  if (word !== undefined) return KEYWORDS.has(word.toLowerCase()) ? 'sql-key' : undefined
  if (comment !== undefined) return 'sql-note'
  if (text !== undefined) return 'sql-text'
  return number !== undefined || mark !== undefined ? 'sql-value' : undefined
}
