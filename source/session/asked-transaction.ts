import type { SqlEntityManager } from '@mikro-orm/sql'
import type { DatabaseConnection } from '../database/database.ts'
import { ISOLATION_LEVELS } from '../database/isolation-level.ts'
import { TransactionOptionsError } from './nested-errors.ts'
import { innermost } from './nested-transactions.ts'
import { nestReadOnly } from './session-kysely.ts'
import type { Session } from './session.ts'

/** What a call asks of its transaction, as far as it is for the session to see to. */
interface Asked {
  readonly isolationLevel?: string | undefined
  readonly readOnly?: boolean | undefined
  readonly propagation?: string | undefined
}

/** In which a call has no savepoint of its own. */
const WITHOUT_SAVEPOINT: readonly unknown[] = ['supports', 'mandatory', 'never', 'not_supported']

const FIX_LEVEL =
  `Give the role this isolationLevel, call it before anything else in the session, or do the work in a unit of its own by ` +
  `registry.run().`
const FIX_READ_ONLY = `Leave readOnly out, or read by a role with readOnly.`

/**
 * Sees to it that a call of em.transactional() has what it asks for; waits only where the database has to be asked.
 * `ignores`: it makes no transaction.
 * @throws TransactionOptionsError, before anything is sent, where it cannot have it
 */
export function askTransaction(
  em: SqlEntityManager,
  session: Session,
  asked: Asked,
  ignores: boolean | undefined,
): Promise<void> | undefined {
  const { isolationLevel, readOnly, propagation } = asked
  if (isolationLevel === undefined && readOnly !== true) return undefined
  const what = 'em.transactional()'
  const hasNone = ignores === true || WITHOUT_SAVEPOINT.includes(propagation)
  if (session.leavesTransactionsToMikroOrm) {
    const isInside = propagation !== 'requires_new' && innermost(session, em).isInTransaction()
    refuseByMikroOrm(session, asked, what, hasNone || isInside)
    return undefined
  }
  if (readOnly === true && hasNone && session.state !== 'readonly' && !session.transaction.statements.isReadOnly) {
    throw new TransactionOptionsError(session.role, what, 'readOnly: true', `It has no savepoint. ${FIX_READ_ONLY}`)
  }
  return isolationLevel === undefined ? undefined : isolate(session, isolationLevel, what)
}

/** Sees to it that the transaction which em.begin() of the program's own stands for has what it asks for. */
export async function askBegin(session: Session, { isolationLevel, readOnly }: Asked): Promise<void> {
  const what = 'em.begin()'
  if (isolationLevel !== undefined) await isolate(session, isolationLevel, what)
  const { transaction, role } = session
  const { mode } = transaction.statements
  if (readOnly !== true || mode.begin.readOnly === true) return
  if (transaction.begun) {
    const fix = 'Its transaction has begun: call em.commit() or em.rollback() before.'
    throw new TransactionOptionsError(role, what, 'readOnly: true', fix)
  }
  mode.begin = { ...mode.begin, readOnly, onPrimary: true }
}

/** The same where em.begin() is MikroORM's. @throws TransactionOptionsError */
export function askMikroOrmToBegin(em: SqlEntityManager, session: Session | undefined, asked: Asked): void {
  if (session !== undefined) refuseByMikroOrm(session, asked, 'em.begin()', em.isInTransaction())
}

/** Where MikroORM begins the transaction: in another one, or in none, it would leave the options out. */
function refuseByMikroOrm(session: Session, asked: Asked, what: string, isLeftOut: boolean): void {
  const { role, core } = session
  const isSqlite = core.settings.dialect === 'sqlite'
  const { isolationLevel, readOnly } = asked
  if (isolationLevel !== undefined) {
    assertLevel(role, isolationLevel, what)
    if (isLeftOut && !isSqlite) {
      const fix = 'Where each flush commits, only an outermost transaction can have it: give it to that one.'
      throw new TransactionOptionsError(role, what, `isolationLevel: '${isolationLevel}'`, fix)
    }
  }
  if (readOnly === true && (isLeftOut || isSqlite)) {
    throw new TransactionOptionsError(role, what, 'readOnly: true', FIX_READ_ONLY)
  }
}

function isolate(session: Session, level: string, what: string): Promise<void> | undefined {
  const { role, transaction, core } = session
  const { dialect, scope } = core.settings
  assertLevel(role, level, what)
  if (scope === 'statement') {
    if (level.startsWith('read ')) return undefined
    const fix = `Each of its statements reads alone; with readOnly: 'snapshot' they share a transaction.`
    throw new TransactionOptionsError(role, what, `isolationLevel: '${level}'`, fix)
  }
  // All transactions of SQLite's are serializable.
  if (dialect === 'sqlite') return undefined
  const { mode } = transaction.statements
  if (!transaction.begun && mode.raise(level)) return undefined
  return compare(session, level, what)
}

async function compare({ role, transaction }: Session, level: string, what: string): Promise<void> {
  const { mode } = transaction.statements
  const known = mode.isolationLevel
  const present =
    known ?? (await transaction.statements.exclusive(levelOf, { depth: transaction.statements.scopes.depth }))
  if (present === level || (present.startsWith('read ') && level.startsWith('read '))) return
  const fix = `Its transaction has '${present}'. ${FIX_LEVEL}`
  throw new TransactionOptionsError(role, what, `isolationLevel: '${level}'`, fix)
}

async function levelOf(connection: DatabaseConnection): Promise<string> {
  const { rows } = await connection.execute('show transaction_isolation', [])
  return (rows as { transaction_isolation: string }[])[0]?.transaction_isolation ?? 'unknown'
}

/** @throws TransactionOptionsError */
function assertLevel(role: string, level: string, what: string): void {
  if (ISOLATION_LEVELS.includes(level)) return
  const fix = `It can be ${ISOLATION_LEVELS.map((each) => `'${each}'`).join(', ')}.`
  throw new TransactionOptionsError(role, what, `isolationLevel: ${JSON.stringify(level)}`, fix)
}

/** Nests by `nest`, whose savepoint begins a part that only reads where that was asked for. */
export async function inAskedMode<T>(
  em: SqlEntityManager,
  asked: Asked | undefined,
  nest: () => Promise<T>,
): Promise<T> {
  return await (asked?.readOnly === true ? nestReadOnly(em.getTransactionContext(), nest) : nest())
}
