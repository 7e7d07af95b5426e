import { LockMode } from '@mikro-orm/core'
import { ReadOnlySessionError } from '../session/errors.ts'
import { hostOf } from '../session/session-kysely.ts'
import { override, type Method } from './override.ts'

const LOCKS_NOTHING: readonly (LockMode | undefined)[] = [undefined, LockMode.NONE, LockMode.OPTIMISTIC]

/** By the prototype of a class of builders: how many ORMs have it refuse, and the step that undoes it. */
const refusing = new Map<object, { count: number; readonly undo: () => void }>()

/**
 * Has the query builders of read-only sessions refuse lock modes; returns the step that undoes it. SQLite has no clause for
 * them, so that MikroORM drops them without a word. Each of MikroORM's own reads goes by such a builder too. The class is
 * changed and not each builder: that was measured to make a read a fifth slower.
 */
export function refuseLocks(builder: object): () => void {
  const prototype = Object.getPrototypeOf(builder) as object
  const known = refusing.get(prototype) ?? { count: 0, undo: override(prototype, 'setLockMode', refused) }
  refusing.set(prototype, known)
  known.count += 1
  return () => {
    known.count -= 1
    if (known.count > 0) return
    refusing.delete(prototype)
    known.undo()
  }
}

const refused = (original: Method): Method =>
  function (mode?: LockMode, ...rest) {
    const host = LOCKS_NOTHING.includes(mode) ? undefined : hostOf(this.context)
    if (host?.onlyReads === true) throw new ReadOnlySessionError(host.role, 'a lock mode locks nothing there')
    return original.call(this, mode, ...rest)
  }
