import { helper, type AnyEntity, type EventSubscriber, type FlushEventArgs } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { ForeignEntityError } from './errors.ts'
import { isOverNested } from './nested-transactions.ts'
import { reportFlush } from './report-flush.ts'
import { sessionOfEntityManager } from './session.ts'
import type { Session } from './session.ts'

/** The open session that manages an entity, if one does. MikroORM leaves its entity manager on one that it lets go. */
export function sessionOfEntity(entity: object): Session | undefined {
  const em = (entity as AnyEntity).__helper?.__em as SqlEntityManager | undefined
  const session = em === undefined ? undefined : sessionOfEntityManager(em)
  if (em === undefined || session === undefined || session.ended) return undefined
  const isInNested = em !== session.em && !isOverNested(em) && has(em, entity, session)
  return isInNested || has(session.em, entity, session) ? session : undefined
}

function has(em: SqlEntityManager, entity: object, { activity }: Session): boolean {
  const uow = em.getUnitOfWork(false)
  if (uow.getPersistStack().has(entity)) return true
  const { __managed: isManaged, __originalEntityData: original, __meta: meta } = helper(entity)
  // One that a flush is about to insert is nowhere else.
  if (!isManaged) return original !== undefined && activity.count > 0
  const identityMap = uow.getIdentityMap()
  // One whose key the program changed is in another place.
  return identityMap.getByEntity(entity) === entity || [...identityMap.getStore(meta.root).values()].includes(entity)
}

/**
 * Refuses an entity, or entities, that another session manages which is still open: both would write it.
 * @throws ForeignEntityError
 */
export function assertOwn(given: unknown, session: Session | undefined, call: string): void {
  if (session === undefined) return
  for (const entity of Array.isArray(given) ? given : [given]) {
    if (typeof entity !== 'object' || entity === null) continue
    if ((entity as AnyEntity).__helper?.__em === session.em) continue
    const owner = sessionOfEntity(entity)
    if (owner !== undefined && owner !== session) {
      throw new ForeignEntityError(entity.constructor.name, owner.role, session.role, `em.${call}()`)
    }
  }
}

/** Finds the entities of another session that a flush reached by way of a reference, and publishes what it is to write. */
export const foreignEntityGuard: EventSubscriber = {
  onFlush({ em, uow }: FlushEventArgs): Promise<void> {
    const session = sessionOfEntityManager(em)
    if (session !== undefined) {
      for (const { entity } of uow.getChangeSets()) assertOwn(entity, session, 'flush')
      reportFlush(session, uow)
    }
    return Promise.resolve()
  },
}
