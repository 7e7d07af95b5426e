import type { SqlEntityManager } from '@mikro-orm/sql'

/** Whether a flush would find anything. It calls no subscriber, and sends nothing. */
export function hasChanges(em: SqlEntityManager): boolean {
  const uow = em.getUnitOfWork(false)
  uow.computeChangeSets()
  return uow.getChangeSets().length > 0 || uow.getCollectionUpdates().length > 0 || uow.getExtraUpdates().size > 0
}
