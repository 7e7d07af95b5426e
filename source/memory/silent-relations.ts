import { helper, Reference, ReferenceKind, type EntityManager, type EntityProperty } from '@mikro-orm/core'
import { helperOf, type Entity } from './wrapped-entity.ts'

// session-snapshot.ts lists the parts of MikroORM that this room relies on.

const TO_ONE: readonly ReferenceKind[] = [ReferenceKind.MANY_TO_ONE, ReferenceKind.ONE_TO_ONE]

/**
 * Lets the to-one relations of entities be read anew without any change of the other side; the answer ends that.
 *
 * MikroORM takes a relation that a read replaces for one that the program changed: it removes the entity from the
 * collection of the old target and adds it to that of the new one, which then count as changed. It schedules an old
 * target with `orphanRemoval` for a DELETE. Where another object stands for the row of a target now, the relation is to
 * that one.
 */
export function silenceRelations(entities: ReadonlyMap<Entity, EntityManager>): () => void {
  const silenced: (() => void)[] = []
  for (const [entity, em] of entities) {
    for (const property of helperOf(entity).__meta.relations) {
      if (TO_ONE.includes(property.kind)) silenced.push(silence(entity, em, property))
    }
  }
  return () => {
    for (const end of silenced) end()
  }
}

function silence(entity: Entity, em: EntityManager, property: EntityProperty): () => void {
  const { name } = property
  const { __data: data } = helperOf(entity)
  if (Object.hasOwn(data, name)) data[name] = inPlace(data[name], em, property)
  const accessor = Object.getOwnPropertyDescriptor(entity, name)
  if (accessor?.set === undefined) return () => undefined
  const set = (value: unknown): void =>
    void (data[name] = Reference.wrapReference(Reference.unwrapReference(value as never), property))
  Object.defineProperty(entity, name, { ...accessor, set })
  return () => void Object.defineProperty(entity, name, accessor)
}

/** Returns the value of a relation, with the object that stands for the row of its target. */
function inPlace(value: unknown, em: EntityManager, property: EntityProperty): unknown {
  const target: unknown = Reference.unwrapReference(value as never)
  if (typeof target !== 'object' || target === null || !helper(target)?.hasPrimaryKey()) return value
  const there = em.getUnitOfWork(false).getIdentityMap().getByEntity(target)
  return there === undefined || there === target ? value : Reference.wrapReference(there, property)
}
