import { helper, Reference, Utils, type EntityComparator } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'

/** Whether a flush would find anything. Calls no subscriber, and sends nothing. */
export function hasChanges(em: SqlEntityManager): boolean {
  return !isAsLoaded(em) && wouldFlush(em)
}

/** A session, as far as it decides whether its reads are still to be validated. */
interface Reading {
  readonly em: SqlEntityManager
  readonly transaction: { readonly needsValidation: boolean }
}

/** Whether, as far as is known, it only read, and what it has read holds only once it is committed. */
export function isToBeValidated({ em, transaction }: Reading): boolean {
  return transaction.needsValidation && !hasChanges(em)
}

/** MikroORM's own computation, which looks at every entity several times. */
function wouldFlush(em: SqlEntityManager): boolean {
  const uow = em.getUnitOfWork(false)
  uow.computeChangeSets()
  return uow.getChangeSets().length > 0 || uow.getCollectionUpdates().length > 0 || uow.getExtraUpdates().size > 0
}

/** Whether there is plainly nothing to flush. Of what is not plain it says no, and MikroORM is asked. */
function isAsLoaded(em: SqlEntityManager): boolean {
  const uow = em.getUnitOfWork(false)
  if (uow.getRemoveStack().size > 0 || uow.getOrphanRemoveStack().size > 0) return false
  if (uow.getExtraUpdates().size > 0 || uow.getCollectionUpdates().length > 0) return false
  const comparator = em.getComparator()
  for (const entity of uow.getIdentityMap()) if (!isEntityAsLoaded(entity, em, comparator)) return false
  // MikroORM puts some here that it has just loaded.
  for (const entity of uow.getPersistStack()) if (!isEntityAsLoaded(entity, em, comparator)) return false
  return true
}

function isEntityAsLoaded(entity: any, em: SqlEntityManager, comparator: EntityComparator): boolean {
  const { __meta: meta, __originalEntityData: original, __initialized: isInitialized } = helper(entity)
  if (original === undefined) return false
  for (const { name, embedded, mapToPk } of meta.relations) {
    if (embedded !== undefined) return false
    if (mapToPk !== true && !isRelationAsLoaded(entity[name], em)) return false
  }
  const now = comparator.prepareEntity(entity)
  if (!isInitialized) return Utils.equals(now, original)
  return !Utils.hasObjectKeys(comparator.getEntityComparator(meta.class)(original, now))
}

/** Another target than before shows in the columns; here it is about targets that are new, and about collections. */
function isRelationAsLoaded(value: any, em: SqlEntityManager): boolean {
  if (value === undefined || value === null) return true
  if (Utils.isCollection(value)) return !value.isDirty()
  const target: any = Reference.unwrapReference(value)
  return Utils.isEntity(target) && helper(target).__managed && helper(target).__em === em
}
