import { SqlTokens, type SqlDialect } from './sql-tokens.ts'
import { firstWord } from './statement-kind.ts'

/** What the statements of a session that only reads share: nothing, or one transaction. */
export type ReadingScope = 'statement' | 'transaction'

/** Why a statement that writes no row is not for a session that only reads. */
export type BeyondReading = 'holds for no other' | 'outlives' | 'lifts read only' | 'writes' | 'is several'

/** How statements begin that only give rows. */
const GIVE_ROWS = new Set(['select', 'with', 'values', 'table', 'show', 'explain'])
/** How others begin that have an effect in their transaction alone. */
const OF_TRANSACTION = new Set('set reset declare fetch move close savepoint release rollback'.split(' '))
const ADVISORY_LOCK = /^pg_(?:try_)?advisory_/
const OF_ADVISORY_TRANSACTION = /^pg_(?:try_)?advisory_xact_/
/** PostgreSQL before 16 lets them write in a transaction that only reads, and its ROLLBACK takes that away. */
const WRITES_LARGE_OBJECT = /^(?:lo_(?:create?|import|unlink|put|from_bytea|truncate(?:64)?)|lowrite)$/
const HINT = /;|advisory|set_config|lo_|lowrite/i
/** Pragmas that take a name and answer about it; in this form others set something. */
const ANSWERS_ABOUT =
  /^(?:table_x?info|table_list|index_(?:list|x?info)|foreign_key_(?:list|check)|(?:integrity|quick)_check)$/

/** Judges a statement that is known to write no rows; undefined where it just reads. */
export function beyondReading(sql: string, dialect: SqlDialect, scope: ReadingScope): BeyondReading | undefined {
  // Most statements of MikroORM end here.
  if (sql.startsWith('select ') && !HINT.test(sql)) return undefined
  const tokens = new SqlTokens(sql, dialect)
  if (!tokens.nextStatement()) return undefined
  const word = firstWord(tokens)
  if (word === undefined) return undefined
  return ofFirstWord(tokens, word, scope) ?? ofRest(tokens, scope)
}

function ofFirstWord(tokens: SqlTokens, word: string, scope: ReadingScope): BeyondReading | undefined {
  if (word === 'pragma' && tokens.dialect !== 'postgresql') return setsByPragma(tokens) ? 'outlives' : undefined
  if (word === 'explain') return createsByExplain(tokens) ? 'writes' : undefined
  if (GIVE_ROWS.has(word)) return undefined
  if (!OF_TRANSACTION.has(word)) return 'outlives'
  if (scope === 'statement') return 'holds for no other'
  return word === 'set' && setsWritable(tokens) ? 'lifts read only' : undefined
}

/** Looks at the functions that are called, and for another statement behind. */
function ofRest(tokens: SqlTokens, scope: ReadingScope): BeyondReading | undefined {
  let called = ''
  while (tokens.nextOfStatement()) {
    const effect = called !== '' && tokens.is('(') ? ofCall(called, scope) : undefined
    if (effect !== undefined) return effect
    called = tokens.kind === 'name' ? tokens.token.slice(1, -1) : tokens.word
  }
  while (tokens.nextStatement()) if (firstWord(tokens) !== undefined) return 'is several'
  return undefined
}

function ofCall(name: string, scope: ReadingScope): BeyondReading | undefined {
  if (ADVISORY_LOCK.test(name)) {
    if (!OF_ADVISORY_TRANSACTION.test(name)) return 'outlives'
    return scope === 'statement' ? 'holds for no other' : undefined
  }
  if (WRITES_LARGE_OBJECT.test(name)) return 'writes'
  return name === 'set_config' && scope === 'statement' ? 'holds for no other' : undefined
}

/** The server refuses that behind the first query, with an error that breaks the transaction off. */
function setsWritable(tokens: SqlTokens): boolean {
  let previous = ''
  while (tokens.nextOfStatement()) {
    const { word } = tokens
    if (word.endsWith('transaction_read_only') || (previous === 'read' && word === 'write')) return true
    previous = word
  }
  return false
}

/** PostgreSQL carries out `explain analyze create table .. as`, also in a transaction that only reads. */
function createsByExplain(tokens: SqlTokens): boolean {
  let analyzes = false
  while (tokens.nextOfStatement()) {
    const { word } = tokens
    if (word === 'analyze' || word === 'analyse') analyzes = true
    else if (word === 'create') return analyzes
    else if (GIVE_ROWS.has(word)) return false
  }
  return false
}

function setsByPragma(tokens: SqlTokens): boolean {
  let name = ''
  while (tokens.nextOfStatement()) {
    if (tokens.is('(')) return !ANSWERS_ABOUT.test(name)
    if (tokens.kind === 'sign' && tokens.token === '=') return true
    if (tokens.word !== '') name = tokens.word
  }
  return false
}
