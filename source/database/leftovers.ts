import { HARMLESS_CALLS } from './harmless-calls.ts'
import type { Relations } from './relations.ts'
import { StatementScan, type IsTable } from './statement-scan.ts'
import { SqlTokens } from './sql-tokens.ts'

/**
 * What a statement leaves on its connection, where the next one to use the connection would find it: a setting, a role, a
 * session-level lock, a cursor, a prepared statement, a temporary table. `'unknown'`: only the database knows.
 */
export type Leftovers = 'none' | 'unknown' | 'some'

const LEAVES = new Set('reset discard listen unlisten prepare deallocate load'.split(' '))
/** What follows SET where it lasts no longer than the transaction. */
const LASTS_SHORTLY = new Set(['local', 'transaction', 'constraints'])
/** How a statement begins that leaves nothing but what the functions and views in it leave. */
const PLAIN = new Set(
  (
    'select with values table insert update delete merge explain declare create alter drop truncate comment grant revoke ' +
    'analyze vacuum reindex'
  ).split(' '),
)
const LEAVES_NOTHING = new Set(
  'show fetch move close savepoint release rollback begin start commit end abort lock notify'.split(' '),
)

const SPACE = 32
const QUOTE = 34
const LAST_OF_ASCII = 127
/** Where the characters of a word are, which are those of unquoted names in ASCII. */
const IN_WORD = Uint8Array.from({ length: 128 }, (_, code) => Number(/[\w$]/.test(String.fromCharCode(code))))

/** What a statement leaves on a connection to PostgreSQL. `isRaw`: the program wrote it. */
export function leftoversAmong(sql: string, isRaw: boolean, { tables, lively }: Relations): Leftovers {
  if (isRaw) return leftoversOf(sql, (name) => tables.has(name))
  // MikroORM's own leaves something by a function in a fragment of the program's, by a view, or by a trigger.
  const left = looksLikeCall(sql) ? leftoversOf(sql) : 'none'
  return left === 'none' && lively.some((name) => sql.includes(`"${name}"`)) ? 'unknown' : left
}

/** How MikroORM inserts what has no bracket in it: none of the two is of a call. */
const PLAIN_INSERT = /^insert into [^(]* \([^(]*\) values \([^(]*$/

/** Whether any bracket seems to be of a call that is not known, also where it is data. */
function looksLikeCall(sql: string): boolean {
  if (PLAIN_INSERT.test(sql)) return false
  for (let at = sql.indexOf('('); at >= 0; at = sql.indexOf('(', at + 1)) {
    let end = at
    while (sql.charCodeAt(end - 1) === SPACE) end--
    const last = sql.charCodeAt(end - 1)
    // MikroORM writes a space between a table and the list of its columns.
    if (last > LAST_OF_ASCII || (end === at && last === QUOTE)) return true
    let start = end
    while (IN_WORD[sql.charCodeAt(start - 1)] === 1) start--
    if (start < end && !HARMLESS_CALLS.has(sql.slice(start, end).toLowerCase())) return true
  }
  return false
}

/** What `sql` leaves behind; of several statements the one that leaves most counts. Without `isTable`, relations are tables. */
export function leftoversOf(sql: string, isTable: IsTable = () => true): Leftovers {
  const tokens = new SqlTokens(sql, 'postgresql')
  let found: Leftovers = 'none'
  while (tokens.nextStatement()) {
    const next = leftoversOfNext(tokens, isTable)
    if (next === 'some') return next
    if (next === 'unknown') found = next
  }
  return found
}

function leftoversOfNext(tokens: SqlTokens, isTable: IsTable): Leftovers {
  do if (!tokens.nextOfStatement()) return 'none'
  while (tokens.is('('))
  const { word } = tokens
  if (word === 'set') return tokens.nextOfStatement() && LASTS_SHORTLY.has(tokens.word) ? 'none' : 'some'
  if (word === 'prepare') return tokens.nextOfStatement() && tokens.word === 'transaction' ? 'none' : 'some'
  if (LEAVES.has(word)) return 'some'
  if (LEAVES_NOTHING.has(word)) return 'none'
  if (!PLAIN.has(word)) return 'unknown'
  const scan = new StatementScan(tokens, isTable)
  scan.run()
  if (scan.outlives) return 'some'
  return scan.runsUnknown ? 'unknown' : 'none'
}
