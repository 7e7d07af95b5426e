import { beyondReading, type BeyondReading } from '../database/beyond-reading.ts'
import { refusesWrite } from '../database/refuses-write.ts'
import { ReadOnlySessionError } from './errors.ts'
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
