import { Collection, helper, ScalarReference, type EntityManager } from '@mikro-orm/core'
import { helperOf, type Entity } from './entity-snapshot.ts'
import { placeIn, type Entry } from './manager-snapshot.ts'
import { inPlaceOf, isUntouched, unloaded } from './collection-snapshot.ts'

// identity-map-snapshot.ts lists what it relies on.

/** Where entities that came after a savepoint find a place once it was rolled back. */
export class Places {
  readonly #givenUp: EntityManager | undefined
  /** The entities that have one, each with its entity manager. */
  readonly later = new Map<Entity, EntityManager>()
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

  /** Gives an entity that is managed its place. */
  readAnew(entity: Entity, em: EntityManager): void {
    const identityMap = em.getUnitOfWork(false).getIdentityMap()
    if (!isManaged(entity) || identityMap.getByEntity(entity) !== undefined) return
    identityMap.store(entity)
    this.#adopt(entity, em)
  }

  /** Gives an entity a place that was removed from all identity maps. */
  restore(entity: Entity, em: EntityManager): void {
    const identityMap = em.getUnitOfWork(false).getIdentityMap()
    // One that an earlier rollback made new again has no row, even if it was removed.
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

export function isManaged(entity: Entity): boolean {
  return helperOf(entity)['__managed'] === true
}

/** Leaves an entity to the program, as a new one is. */
export function letGo(entity: Entity): void {
  const wrapped = helperOf(entity)
  wrapped['__managed'] = false
  wrapped['__processing'] = false
}

/** Takes away what an entity cannot be read anew for: collections and lazy scalars are still to be loaded afterwards. */
function settle(entity: Entity, em: EntityManager): void {
  const wrapped = helperOf(entity)
  wrapped['__processing'] = false
  for (const property of wrapped.__meta.props) {
    const value = entity[property.name]
    if (Collection.isCollection<object, object>(value)) {
      wrapped.__loadedProperties.delete(property.name)
      if (!isUntouched(value)) entity[property.name] = inPlaceOf(value, unloaded(entity, property))
    } else if (ScalarReference.isScalarReference(value)) {
      wrapped.__loadedProperties.delete(property.name)
      Reflect.deleteProperty(wrapped.__originalEntityData ?? {}, property.name)
      if (value.isInitialized()) entity[property.name] = inPlaceOf(value, unloadedScalar(entity, property.name))
    }
  }
  if (wrapped['__initialized'] !== true) empty(entity, em)
}

function unloadedScalar(entity: Entity, name: string): ScalarReference<unknown> {
  const reference = new ScalarReference<unknown>()
  reference.bind(entity as never, name as never)
  return reference
}

/** Takes from a mere reference what was assigned to it. One that is known by another key than the primary one keeps that. */
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
