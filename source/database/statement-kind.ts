/** What a statement does, judged from its text alone: reads, writes, or begins and ends transactions. */
export type StatementKind = 'read' | 'write' | 'control'

const READS = new Set(
  'select values table show set reset explain fetch declare move close savepoint release rollback'.split(' '),
)
const MAY_CARRY_A_WRITE = new Set(['select', 'with', 'explain', 'declare'])
const ENDS_OR_BEGINS =
  /^(?:begin|start|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b/i

/** As MikroORM begins its own. */
const WRITES_PLAINLY = ['insert into ', 'update ', 'delete from ']

const GOES_BACK = /^[\s;]*rollback\s+(?:(?:work|transaction)\s+)?to\b/i
const LONGEST_ROLLBACK = 200

const LEADING_NOISE = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\(|;)+/
const FIRST_WORD = /^[a-z_]+/i
const QUOTED_OR_COMMENT = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([a-z_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\//gi
const HINT_OF_A_WRITE = /\b(?:insert|update|delete|merge|into|nextval|setval|pg_notify)\b|;/i
const WRITES_INSIDE =
  /\binsert\s+into\b|\bupdate\s+\S+\s+(?:as\s+\S+\s+|\S+\s+)?set\b|\bdelete\s+from\b|\bmerge\s+into\b|\bselect\b[^;]*?\binto\b|\b(?:nextval|setval|pg_notify)\b/i

/**
 * Judges `sql` without a parser. A volatile function that writes looks like a read; everything that is not known to read
 * counts as a write, so that a statement is rather reported once too often than lost in silence.
 */
export function statementKind(sql: string): StatementKind {
  // What MikroORM itself sends in the first place.
  if (sql.startsWith('select ') && !HINT_OF_A_WRITE.test(sql)) return 'read'
  if (!sql.includes(';') && WRITES_PLAINLY.some((start) => sql.startsWith(start))) return 'write'
  const text = sql.replace(LEADING_NOISE, '')
  const word = FIRST_WORD.exec(text)?.[0].toLowerCase() ?? ''
  if (ENDS_OR_BEGINS.test(text) || endsOrBeginsLater(text, word)) return 'control'
  if (text === '') return 'read'
  if (!READS.has(word) && word !== 'with') return 'write'
  return MAY_CARRY_A_WRITE.has(word) && carriesWrite(text) ? 'write' : 'read'
}

/** Whether `sql` rolls back to a savepoint that the program has set itself. */
export function goesBackToSavepoint(sql: string): boolean {
  return sql.length < LONGEST_ROLLBACK && GOES_BACK.test(sql)
}

/** One string may hold several statements. The body of what is being created holds statements of another kind. */
function endsOrBeginsLater(text: string, word: string): boolean {
  if (word === 'create' || !text.includes(';')) return false
  return withoutQuoted(text)
    .split(';')
    .slice(1)
    .some((statement) => ENDS_OR_BEGINS.test(statement.trimStart()))
}

function carriesWrite(text: string): boolean {
  if (!HINT_OF_A_WRITE.test(text)) return false
  return WRITES_INSIDE.test(withoutQuoted(text))
}

function withoutQuoted(text: string): string {
  return text.replace(QUOTED_OR_COMMENT, (sqlLiteral) => (sqlLiteral.startsWith('"') ? 'x' : ' '))
}
