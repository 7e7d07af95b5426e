import { Collection, helper, ScalarReference, type EntityManager } from '@mikro-orm/core'
import { placeIn, type Entry } from './manager-snapshot.ts'
import { isUntouched, unloaded } from './collection-snapshot.ts'
import { replaceInPlace } from './replace-in-place.ts'
import { helperOf, isManaged, type Entity } from './wrapped-entity.ts'

// session-snapshot.ts lists the parts of MikroORM that this room relies on.

/** Finds places for entities that came after a savepoint, once it was rolled back. */
export class Places {
  readonly #givenUp: EntityManager | undefined
  /** The entities with a place, each with its entity manager. */
  readonly later = new Map<Entity, EntityManager>()
  /** The entities without one: another object stands for their row. */
  readonly displaced = new Set<Entity>()

  /** `givenUp` is an entity manager that is not used any more. */
  constructor(givenUp: EntityManager | undefined) {
    this.#givenUp = givenUp
  }

  /** Gives an entity the place that it had in an identity map, unless another object has it. */
  keep(entry: Entry, em: EntityManager): void {
    const { root, hash, entity } = entry
    const identityMap = em.getUnitOfWork(false).getIdentityMap()
    const there = identityMap.getStore(root).get(hash)
    if (there !== undefined && there !== entity) return void this.displaced.add(entity)
    placeIn(identityMap, entry)
    this.#adopt(entity, em)
  }

  /** Gives a managed entity its place. */
  readAnew(entity: Entity, em: EntityManager): void {
    const identityMap = em.getUnitOfWork(false).getIdentityMap()
    if (!isManaged(entity) || identityMap.getByEntity(entity) !== undefined) return
    identityMap.store(entity)
    this.#adopt(entity, em)
  }

  /** Gives a place to an entity that was removed from all identity maps. */
  restore(entity: Entity, em: EntityManager): void {
    const identityMap = em.getUnitOfWork(false).getIdentityMap()
    // An entity that an earlier rollback made new again has no row, even if it was removed.
    if (!helper(entity).hasPrimaryKey()) return
    if (isManaged(entity) || identityMap.getByEntity(entity) !== undefined) return
    identityMap.store(entity)
    this.#adopt(entity, em)
  }

  #adopt(entity: Entity, em: EntityManager): void {
    if (this.later.has(entity)) return
    this.later.set(entity, em)
    const wrapped = helperOf(entity)
    wrapped['__managed'] = true
    if (wrapped['__em'] === undefined || wrapped['__em'] === this.#givenUp) wrapped['__em'] = em
    settle(entity, em)
  }
}

/** Leaves an entity to the program, as a new one is. */
export function letGo(entity: Entity): void {
  const wrapped = helperOf(entity)
  wrapped['__managed'] = false
  wrapped['__processing'] = false
}

/** Unloads collections and lazy scalars, for which an entity cannot be read anew. */
function settle(entity: Entity, em: EntityManager): void {
  const wrapped = helperOf(entity)
  wrapped['__processing'] = false
  for (const property of wrapped.__meta.props) {
    const value = entity[property.name]
    if (Collection.isCollection<object, object>(value)) {
      wrapped.__loadedProperties.delete(property.name)
      if (!isUntouched(value)) entity[property.name] = replaceInPlace(value, unloaded(entity, property))
    } else if (ScalarReference.isScalarReference(value)) {
      wrapped.__loadedProperties.delete(property.name)
      Reflect.deleteProperty(wrapped.__originalEntityData ?? {}, property.name)
      if (value.isInitialized()) entity[property.name] = replaceInPlace(value, unloadedScalar(entity, property.name))
    }
  }
  if (wrapped['__initialized'] !== true) empty(entity, em)
}

function unloadedScalar(entity: Entity, name: string): ScalarReference<unknown> {
  const reference = new ScalarReference<unknown>()
  reference.bind(entity as never, name as never)
  return reference
}

/** Takes assigned values away from a mere reference. A reference by another key than the primary one keeps the key. */
function empty(entity: Entity, em: EntityManager): void {
  const wrapped = helperOf(entity)
  const { __meta: meta } = wrapped
  if (meta.primaryKeys.some((name) => entity[name] === undefined)) return
  for (const { name, primary } of meta.props) {
    if (primary === true || Collection.isCollection(entity[name])) continue
    Reflect.deleteProperty(wrapped.__data, name)
    if (Object.getOwnPropertyDescriptor(entity, name)?.get === undefined) Reflect.deleteProperty(entity, name)
  }
  wrapped.__loadedProperties.clear()
  wrapped.__originalEntityData = em.getComparator().prepareEntity(entity) as Record<string, unknown>
}
