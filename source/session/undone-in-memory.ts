import type { SqlEntityManager } from '@mikro-orm/sql'
import { holdingFlushes } from './flush-in-turn.ts'
import { hearOfRollback, hearOfTheEnd } from './nested-subscribers.ts'
import { scopeOf } from './session-kysely.ts'
import type { Session } from './session.ts'

type Callback = (em: SqlEntityManager) => unknown

/**
 * Nests a transaction on `em` by `nest`, which is given the callback to call. If it fails, entities are as they were when
 * the callback began, as their rows are. A callback that gets no transaction of its own is not undone.
 */
export async function undoneInMemory<T>(
  session: Session,
  em: SqlEntityManager,
  callback: Callback,
  nest: (callback: Callback) => Promise<T>,
): Promise<T> {
  let undo: (() => Promise<void>) | undefined
  let forget: (() => void) | undefined
  let inner: SqlEntityManager | undefined
  try {
    const result = await nest((nested) => {
      if (nested !== em && nested.isInTransaction()) {
        inner = nested
        const savepoints = session.remembering()
        const snapshot = savepoints.enter(em, nested)
        let undone: Promise<void> | undefined
        undo = () => (undone ??= holdingFlushes(em, savepoints.undo(snapshot, em, nested)))
        const scope = scopeOf(nested.getTransactionContext())
        if (scope !== undefined) scope.undo = undo
        forget = () => savepoints.leave(snapshot, nested)
        movePending(em, nested)
      }
      return callback(nested)
    })
    if (inner !== undefined) hearOfTheEnd(session, em, inner)
    return result
  } catch (error) {
    // What became of an ended one in memory does not matter.
    if (!session.ended) await undo?.()
    if (inner !== undefined) await hearOfRollback(session, em, inner)
    throw error
  } finally {
    forget?.()
  }
}

/** MikroORM copies what is to be inserted, and a flush beside the nested transaction would insert it as well. */
function movePending(em: SqlEntityManager, nested: SqlEntityManager): void {
  const pending = em.getUnitOfWork(false).getPersistStack()
  for (const entity of nested.getUnitOfWork(false).getPersistStack()) pending.delete(entity)
}
