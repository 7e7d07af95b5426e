import { HARMLESS_CALLS } from './harmless-calls.ts'
import { SqlTokens } from './sql-tokens.ts'

const HINT_OF_A_LOCK = /\bfor\b/i

/** Whether a statement has a clause that locks the rows it reads. */
export function hasLockingClause(sql: string): boolean {
  return HINT_OF_A_LOCK.test(sql) && takesLock(sql)
}

/**
 * Whether a statement calls a function that may write, or take a lock until the end of its transaction: any that is not known
 * to do neither. A wrong guess costs a question, or a wait for ROLLBACK, and nothing else.
 */
export function mayCall(sql: string): boolean {
  if (!sql.includes('(')) return false
  const tokens = new SqlTokens(sql, 'any')
  let mayBeCalled = false
  let schema = ''
  let previous = ''
  while (tokens.nextMeaning()) {
    if (mayBeCalled && tokens.is('(')) return true
    const { word, kind } = tokens
    // Another schema may have a function of the same name.
    const isKnown = HARMLESS_CALLS.has(word) && (schema === '' || schema === 'pg_catalog')
    mayBeCalled = kind === 'name' || (kind === 'word' && !isKnown)
    schema = tokens.is('.') ? previous : ''
    previous = kind === 'name' ? tokens.token : word
  }
  return false
}

function takesLock(sql: string): boolean {
  const tokens = new SqlTokens(sql, 'any')
  let before = ''
  let previous = ''
  while (tokens.nextMeaning()) {
    const { word } = tokens
    if (endsLockingClause(before, previous, word)) return true
    before = previous
    previous = word
  }
  return false
}

/** Whether three words in a row, or the latter two of them, lock rows: `for update`, `for no key update` and the like. */
function endsLockingClause(before: string, previous: string, word: string): boolean {
  if (previous === 'for') return word === 'update' || word === 'share'
  return before === 'for' && ((previous === 'no' && word === 'key') || (previous === 'key' && word === 'share'))
}
