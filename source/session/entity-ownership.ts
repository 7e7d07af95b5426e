import type { AnyEntity, EventSubscriber, FlushEventArgs } from '@mikro-orm/core'
import { ForeignEntityError } from './errors.ts'
import { sessionOfEntityManager } from './session.ts'
import type { Session } from './session.ts'

/** The session that manages an entity, if one does. */
export function sessionOfEntity(entity: object): Session | undefined {
  const em = (entity as AnyEntity).__helper?.__em
  return em === undefined ? undefined : sessionOfEntityManager(em)
}

/**
 * Refuses an entity, or entities, that another session manages which is still open: both would write it.
 * @throws ForeignEntityError
 */
export function assertOwn(given: unknown, session: Session | undefined, call: string): void {
  if (session === undefined) return
  for (const entity of Array.isArray(given) ? given : [given]) {
    if (typeof entity !== 'object' || entity === null) continue
    const owner = sessionOfEntity(entity)
    if (owner !== undefined && owner !== session && !owner.ended) {
      throw new ForeignEntityError(entity.constructor.name, owner.role, session.role, `em.${call}()`)
    }
  }
}

/** Finds the entities of another session that a flush reached by way of a reference. */
export const foreignEntityGuard: EventSubscriber = {
  onFlush({ em, uow }: FlushEventArgs): Promise<void> {
    const session = sessionOfEntityManager(em)
    for (const { entity } of session === undefined ? [] : uow.getChangeSets()) assertOwn(entity, session, 'flush')
    return Promise.resolve()
  },
}
