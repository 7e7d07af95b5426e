import { Collection, type EntityManager, type EntityProperty, type UnitOfWork } from '@mikro-orm/core'
import { SqlassistError } from '../transaction/index.ts'
import { CollectionSnapshot } from './collection-snapshot.ts'
import type { EntitySnapshot } from './entity-snapshot.ts'
import type { ValueSnapshot } from './value-snapshot.ts'
import { helperOf, type Entity } from './wrapped-entity.ts'

/** An entity was changed that a rollback had left without a row or a place in its session: nothing would be stored. */
export class DetachedEntityError extends SqlassistError {
  static {
    this.prototype.name = 'DetachedEntityError'
  }
  override readonly code = 'SQLASSIST_DETACHED_ENTITY'

  constructor(role: string, entity: string, why: string, options?: ErrorOptions) {
    super(
      `${entity} was changed in the session of role "${role}", which would not store it: ${why}. ` +
        `Find it anew with em.findOne(), or em.persist(entity) to have it inserted.`,
      options,
    )
  }
}

/** The rollback of a savepoint or of `em.transactional()` could not bring a value of an entity back. */
export class EntityNotRestoredError extends SqlassistError {
  static {
    this.prototype.name = 'EntityNotRestoredError'
  }
  override readonly code = 'SQLASSIST_ENTITY_NOT_RESTORED'

  constructor(role: string, entity: string, properties: readonly string[]) {
    super(
      `A rollback in the session of role "${role}" could not bring back ${properties.join(', ')} of ${entity}: an ` +
        `object of a class there keeps what it holds in #private fields, or behind accessors without setters. ` +
        `Assign a new object instead of changing that one, or let its fields be public.`,
    )
  }
}

interface Stray {
  readonly stored: unknown
  readonly collections: readonly ValueSnapshot[]
  readonly why: string
  readonly cause: unknown
}

/** The entities of a session that a rollback could not restore. A flush refuses to pass over changes of them. */
export class StrayEntities {
  readonly #role: string
  readonly #strays = new Map<Entity, Stray>()
  #unrestored: EntitySnapshot[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(role: string) {
    this.#role = role
  }

  /** Adds an entity whose row is gone; it may be persisted as a new one. */
  addGone(entity: Entity, em: EntityManager): void {
    em.getUnitOfWork(false).getIdentityMap().delete(entity)
    const wrapped = helperOf(entity)
    wrapped['__managed'] = false
    for (const field of ['__em', '__originalEntityData', '__identifier']) Reflect.deleteProperty(wrapped, field)
    this.#add(entity, em, 'its row is gone by a rollback')
  }

  /** Adds an entity for whose row another object stands. */
  addDisplaced(entity: Entity, em: EntityManager): void {
    this.#add(entity, em, 'since a rollback another object stands for its row')
  }

  /** Adds an entity whose row could not be read. */
  addUnknown(entity: Entity, em: EntityManager, cause: unknown): void {
    em.getUnitOfWork(false).getIdentityMap().delete(entity)
    this.#add(entity, em, 'it could not be read anew after a rollback', cause)
  }

  /** Adds entities with a value that could not be brought back. */
  addUnrestored(snapshots: readonly EntitySnapshot[]): void {
    this.#unrestored.push(...snapshots)
  }

  /** Notes that the state of the session in memory is unknown: each flush throws `error`. */
  addFailure(error: unknown): void {
    this.#failure ??= { error }
  }

  /** Called by a flush before it writes. @throws DetachedEntityError, EntityNotRestoredError */
  check(em: EntityManager, uow: UnitOfWork): void {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#strays.size === 0 && this.#unrestored.length === 0) return
    const written = new Set(uow.getChangeSets().map(({ entity }) => entity as Entity))
    for (const snapshot of this.#unrestored) if (written.has(snapshot.entity)) this.assertRestored(snapshot)
    for (const [entity, stray] of this.#strays) {
      if (uow.getIdentityMap().getByEntity(entity) === entity) this.#strays.delete(entity)
      else if (!written.has(entity) && isChanged(entity, stray, em)) {
        throw new DetachedEntityError(this.#role, nameOf(entity), stray.why, causedBy(stray.cause))
      }
    }
  }

  /** @throws EntityNotRestoredError */
  assertRestored(snapshot: EntitySnapshot): void {
    const properties = snapshot.unrestored()
    if (properties.length > 0) throw new EntityNotRestoredError(this.#role, nameOf(snapshot.entity), properties)
  }

  #add(entity: Entity, em: EntityManager, why: string, cause?: unknown): void {
    const collections = dirtyCollectionsOf(entity).map(({ value, property }) => new CollectionSnapshot(value, property))
    const stored = em.getComparator().prepareEntity(entity)
    this.#strays.set(entity, { stored, collections, why, cause })
  }
}

function isChanged(entity: Entity, { stored, collections }: Stray, em: EntityManager): boolean {
  const { __meta: meta } = helperOf(entity)
  const comparator = em.getComparator()
  const changes = comparator.diffEntities(meta.class, stored as never, comparator.prepareEntity(entity))
  if (Object.keys(changes).length > 0) return true
  return dirtyCollectionsOf(entity).some(({ value }) => !collections.some((snapshot) => snapshot.matches(value)))
}

function dirtyCollectionsOf(entity: Entity): { value: Collection<object>; property: EntityProperty }[] {
  return helperOf(entity).__meta.relations.flatMap((property) => {
    const value = entity[property.name]
    return Collection.isCollection<object, object>(value) && value.isDirty() ? [{ value, property }] : []
  })
}

function nameOf(entity: Entity): string {
  const { __meta: meta } = helperOf(entity)
  return `${meta.className} ${JSON.stringify(meta.primaryKeys.map((name) => String(entity[name])))}`
}

function causedBy(cause: unknown): ErrorOptions {
  return cause === undefined ? {} : { cause }
}
