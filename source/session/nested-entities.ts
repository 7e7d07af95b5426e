import { Collection, helper, TransactionManager, type EntityManager } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { helperOf, type Entity } from '../memory/wrapped-entity.ts'

type Merge = (fork: EntityManager, parent: EntityManager) => void

/**
 * MikroORM's own, for a transaction nested on `em`. Where both have an object of their own for a row, MikroORM copies
 * the nested one's over the other. A change of the other that was not flushed yet would then be written by nobody:
 * https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/utils/TransactionManager.ts
 * (mergeEntitiesToParent).
 */
export function transactionManagerFor(em: SqlEntityManager): TransactionManager {
  const manager = new TransactionManager(em)
  const own = manager as unknown as { mergeEntitiesToParent: Merge }
  const merge = own.mergeEntitiesToParent.bind(manager)
  own.mergeEntitiesToParent = (fork, parent) => {
    const changes = unsentChanges(fork, parent)
    merge(fork, parent)
    for (const { entity, name, value } of changes) entity[name] = value
  }
  return manager
}

function unsentChanges(fork: EntityManager, parent: EntityManager) {
  const identityMap = parent.getUnitOfWork(false).getIdentityMap()
  return [...fork.getUnitOfWork(false).getIdentityMap()].flatMap((nested) => {
    const entity = identityMap.getByEntity(nested) as Entity | undefined
    if (entity === undefined || entity === nested) return []
    return [...changedProperties(entity, parent)].map((name) => ({ entity, name, value: entity[name] }))
  })
}

function changedProperties(entity: Entity, em: EntityManager): Set<string> {
  const { __meta: meta, __originalEntityData: original } = helperOf(entity)
  if (original === undefined) return new Set()
  const comparator = em.getComparator()
  const changed: string[] = Object.keys(comparator.diffEntities(meta.class, original, comparator.prepareEntity(entity)))
  const collections = meta.relations.filter(({ name }) => isDirty(entity[name])).map(({ name }) => name)
  // An embeddable's properties are compared one by one.
  const whole = meta.props.flatMap(({ name, embedded }) => (changed.includes(name) ? [embedded?.[0] ?? name] : []))
  return new Set([...whole, ...collections])
}

function isDirty(value: unknown): boolean {
  return Collection.isCollection(value) && value.isDirty()
}

/**
 * Forgets the entities whose row was deleted through another entity manager of the session: `em` would take them for new ones,
 * and insert them again.
 */
export function forgetDeleted(em: SqlEntityManager): void {
  const uow = em.getUnitOfWork(false)
  const identityMap = uow.getIdentityMap()
  for (const entity of identityMap) {
    const { __managed: isManaged, __originalEntityData: original } = helper(entity)
    if (isManaged || original !== undefined || uow.getPersistStack().has(entity)) continue
    identityMap.delete(entity)
  }
}
