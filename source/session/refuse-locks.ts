import { LockMode } from '@mikro-orm/core'
import { ReadOnlySessionError } from './errors.ts'
import { hostOf } from './session-kysely.ts'

/** As much of MikroORM's QueryBuilder as is looked at. */
interface LockingBuilder {
  readonly context?: unknown
  setLockMode(mode?: LockMode, tables?: string[]): unknown
}

const LOCKS_NOTHING: readonly (LockMode | undefined)[] = [undefined, LockMode.NONE, LockMode.OPTIMISTIC]

/**
 * Has the query builders of a read-only session refuse lock modes. SQLite has no clause for them, so that MikroORM drops
 * them without a word. Each of MikroORM's own reads goes by such a builder too.
 */
export function refuseLocks<Builder extends LockingBuilder>(builder: Builder): Builder {
  const host = hostOf(builder.context)
  if (host?.onlyReads !== true) return builder
  const setLockMode = builder.setLockMode.bind(builder)
  builder.setLockMode = (mode, tables) => {
    if (LOCKS_NOTHING.includes(mode)) return setLockMode(mode, tables)
    throw new ReadOnlySessionError(host.role, 'a lock mode locks nothing there')
  }
  return builder
}
