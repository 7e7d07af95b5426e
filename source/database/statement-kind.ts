import { SqlTokens, type SqlDialect } from './sql-tokens.ts'

/** What a statement does, judged from its text alone: reads, writes, or begins and ends transactions. */
export type StatementKind = 'read' | 'write' | 'control'

const READS = new Set(
  'select values table show set reset explain fetch declare move close savepoint release rollback'.split(' '),
)
const MAY_CARRY_A_WRITE = new Set(['select', 'with', 'explain', 'declare'])
const BEGINS_OR_ENDS = new Set(['begin', 'start', 'commit', 'end', 'abort'])
const WRITING_FUNCTIONS = new Set(['nextval', 'setval', 'pg_notify'])

/** How MikroORM begins its writes. */
const WRITES_PLAINLY = /^(?:insert into|update|delete from) /
const HINT_OF_A_WRITE = /\b(?:insert|update|delete|merge|into|nextval|setval|pg_notify)\b|;/i
/** A beginning other than that of `savepoint`, `rollback` and `release`. */
const BEGINS_OTHERWISE = /^(?:[a-qt-z]|s[^a]|r[^eo])/i

/**
 * Judges `sql` without a parser; of several statements the one that does most counts. A volatile function that writes looks
 * like a read. A statement not known to read counts as a write: better reported once too often than lost in silence.
 */
export function statementKind(sql: string, dialect: SqlDialect = 'any'): StatementKind {
  // Most statements of MikroORM end here.
  if (sql.startsWith('select ') && !HINT_OF_A_WRITE.test(sql)) return 'read'
  if (WRITES_PLAINLY.test(sql) && !sql.includes(';')) return 'write'
  const mayWrite = HINT_OF_A_WRITE.test(sql)
  const tokens = new SqlTokens(sql, dialect)
  let kind: StatementKind = 'read'
  while (tokens.nextStatement()) {
    const next = kindOfNext(tokens, mayWrite)
    if (next === 'control') return next
    if (next === 'write') kind = next
  }
  return kind
}

/** What `sql` does with a savepoint of the program, which has that name. */
export interface SavepointStep {
  readonly does: 'savepoint' | 'release' | 'rollback'
  readonly name: string
}

/**
 * Whether `sql` sets a savepoint, releases one or rolls back to one. Of several statements the first one counts. For PostgreSQL a
 * name in quotes keeps its case.
 */
export function savepointStep(sql: string, dialect: SqlDialect = 'any'): SavepointStep | undefined {
  if (BEGINS_OTHERWISE.test(sql)) return undefined
  const tokens = new SqlTokens(sql, dialect)
  let word: string | undefined
  while (word === undefined && tokens.nextStatement()) word = firstWord(tokens)
  if (word !== 'savepoint' && word !== 'release' && word !== 'rollback') return undefined
  if (word === 'rollback' && !goesToSavepoint(tokens)) return undefined
  if (!tokens.nextOfStatement()) return undefined
  if (word !== 'savepoint' && tokens.word === 'savepoint') tokens.nextOfStatement()
  const { token, kind } = tokens
  if (kind !== 'name') return { does: word, name: token.toLowerCase() }
  const name = token.slice(1, -1).replaceAll('""', '"')
  return { does: word, name: dialect === 'postgresql' ? name : name.toLowerCase() }
}

function kindOfNext(tokens: SqlTokens, mayWrite: boolean): StatementKind {
  const word = firstWord(tokens)
  if (word === undefined) return 'read'
  if (beginsOrEnds(tokens, word)) return 'control'
  if (MAY_CARRY_A_WRITE.has(word)) return mayWrite && carriesWrite(tokens, word) ? 'write' : 'read'
  if (word === 'create') skipBody(tokens)
  return READS.has(word) ? 'read' : 'write'
}

/** The word that a statement begins with: empty where it begins with something else, undefined where there is nothing. */
export function firstWord(tokens: SqlTokens): string | undefined {
  while (tokens.nextOfStatement()) if (!tokens.is('(')) return tokens.word
  return undefined
}

function beginsOrEnds(tokens: SqlTokens, word: string): boolean {
  if (word === 'rollback') return !goesToSavepoint(tokens)
  if (word === 'prepare') return tokens.nextOfStatement() && tokens.word === 'transaction'
  return BEGINS_OR_ENDS.has(word)
}

/** Whether it is `rollback [work | transaction] to`, with `rollback` read. */
function goesToSavepoint(tokens: SqlTokens): boolean {
  if (!tokens.nextOfStatement()) return false
  if (tokens.word === 'work' || tokens.word === 'transaction') tokens.nextOfStatement()
  return tokens.word === 'to'
}

/** Whether the rest of a statement has a part that writes, or calls one of the functions known to write. */
function carriesWrite(tokens: SqlTokens, first: string): boolean {
  let previous = first
  let selects = first === 'select'
  let updates = false
  while (tokens.nextOfStatement()) {
    const { word } = tokens
    if (word === 'into' && (selects || previous === 'insert' || previous === 'merge')) return true
    if (previous === 'delete' && word === 'from') return true
    if ((word === 'set' && updates) || WRITING_FUNCTIONS.has(word)) return true
    if (word === 'select') selects = true
    // Otherwise the `update` of a locking clause.
    if (word === 'update') updates = previous !== 'for' && previous !== 'key'
    else if (updates) updates = mayNameTable(tokens)
    previous = word
  }
  return false
}

/** Whether a token may stand between `update` and its `set`. */
function mayNameTable(tokens: SqlTokens): boolean {
  const { kind } = tokens
  return kind === 'word' || kind === 'name' || tokens.is('.') || tokens.is('*') || tokens.is('(') || tokens.is(')')
}

/** Goes past the body of what is created, if it has one: its statements are carried out later. */
function skipBody(tokens: SqlTokens): void {
  let open = 0
  let previous = ''
  while (tokens.nextOfStatement() || (open > 0 && tokens.nextStatement())) {
    const { word } = tokens
    const isLabel = previous === 'as' || previous === '.'
    if (open === 0) open = beginsBody(tokens, previous, word) ? 1 : 0
    else if (word === 'case' && !isLabel) open++
    else if (word === 'end' && !isLabel) open--
    previous = tokens.is('.') ? '.' : word
  }
}

/** SQLite's triggers have a body. PostgreSQL's functions have one that is no string, behind `begin atomic`. */
function beginsBody({ dialect }: SqlTokens, previous: string, word: string): boolean {
  return dialect === 'sqlite' ? word === 'begin' : previous === 'begin' && word === 'atomic'
}
