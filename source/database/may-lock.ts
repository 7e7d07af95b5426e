/** What stands before a bracket in plain reads: keywords and functions that take no lock. */
const HARMLESS = new Set(
  (
    'select from where and or not in as on any all some exists between case when then else by having over values ' +
    'limit offset union intersect except distinct using is like ilike cast array row ' +
    'count sum min max avg coalesce lower upper length concat'
  ).split(' '),
)
const BEFORE_BRACKET = /([\w$"`\u0080-\uffff]+)\s*\(/g
const LOCKING_CLAUSE = /\bfor\s+(?:no\s+key\s+)?(?:update|(?:key\s+)?share)\b/i

/**
 * Whether a statement that reads may take a lock which lasts until the end of its transaction: by a locking clause, or by a
 * function. What is not known to take none counts; that costs a wait for ROLLBACK, and nothing else.
 */
export function mayLock(sql: string): boolean {
  if (LOCKING_CLAUSE.test(sql) || sql.includes('/*') || sql.includes('--')) return true
  if (!sql.includes('(')) return false
  for (const [, word = ''] of sql.matchAll(BEFORE_BRACKET)) if (!HARMLESS.has(word.toLowerCase())) return true
  return false
}
