import { beyondReading, type BeyondReading } from '../database/beyond-reading.ts'
import { refusesWrite } from '../database/refuses-write.ts'
import { firstWord, type StatementKind } from '../database/statement-kind.ts'
import { SqlTokens } from '../database/sql-tokens.ts'
import { ReadOnlySessionError } from './errors.ts'
import { ReadOnlyTransactionError } from './nested-errors.ts'
import { shown } from './raw-write-log.ts'
import type { SessionSettings } from './session-options.ts'

const WHY: Readonly<Record<BeyondReading, readonly [what: string, fix?: string]>> = {
  'holds for no other': [
    'would have no effect: each of its statements runs alone',
    "Use readOnly: 'snapshot', whose statements share a transaction, or a role that writes, such as ctx.dbSession.writer.",
  ],
  outlives: ['would leave something on its connection, for whom it serves next'],
  'lifts read only': ['would let it write'],
  writes: ['would write'],
  'is several': ['is several statements', 'Send each of them alone.'],
}

/** @throws ReadOnlySessionError where a statement that writes no row does more than read all the same */
export function assertReads({ role, dialect, scope }: SessionSettings, sql: string): void {
  const beyond = beyondReading(sql, dialect, scope)
  if (beyond === undefined) return
  const [what, fix] = WHY[beyond]
  throw new ReadOnlySessionError(role, `"${shown(sql)}" ${what}`, { fix })
}

/** The error of a statement of a read-only session: PostgreSQL finds the writes that no text shows. */
export function asReadOnlyError(role: string, sql: string, error: unknown): unknown {
  return refusesWrite(error) ? new ReadOnlySessionError(role, `"${shown(sql)}" would write`, { cause: error }) : error
}

const MAY_END_SAVEPOINT = /\b(?:release|rollback)\b/i

/** @throws ReadOnlyTransactionError where a statement writes, or may end the savepoint that keeps the others to reading */
export function assertOnlyReads(role: string, kind: StatementKind, sql: string): void {
  if (kind === 'write' || beyondReading(sql, 'any', 'transaction') === 'writes')
    throw new ReadOnlyTransactionError(role, `"${shown(sql)}" would write`)
  if (!MAY_END_SAVEPOINT.test(sql)) return
  const tokens = new SqlTokens(sql, 'any')
  while (tokens.nextStatement()) {
    const word = firstWord(tokens)
    if (word === 'release' || word === 'rollback') {
      throw new ReadOnlyTransactionError(role, `"${shown(sql)}" might let it write; nest by em.transactional()`)
    }
  }
}

/** The error of a statement of a transaction that may only read: PostgreSQL finds the writes that no text shows. */
export function asReadOnlyScopeError(role: string, sql: string, error: unknown): unknown {
  if (!refusesWrite(error)) return error
  return new ReadOnlyTransactionError(role, `"${shown(sql)}" would write`, error)
}
