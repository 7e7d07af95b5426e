import {
  ChangeSetType,
  type EntityManager,
  type EntityMetadata,
  type IdentityMap,
  type UnitOfWork,
} from '@mikro-orm/core'
import { EntityMemory, helperOf, type Entity } from './entity-memory.ts'

/*
 * What savepoints rely on of MikroORM's bookkeeping in memory; it is touched here, in entity-memory.ts and in
 * replaceable-memory.ts, and nowhere else. MikroORM 7.2.1 itself has no way back to an earlier state
 * (https://github.com/mikro-orm/mikro-orm/tree/v7.2.1/packages/core/src).
 *
 * - `uow.getIdentityMap()`: its live `getStore(meta)`, which holds entities by hash of the primary key, and by
 *   `[key]value` where `storeByKey` put them (IdentityMap.ts);
 * - `uow.clear()` empties the identity map and forgets all that is pending, and touches no entity (UnitOfWork.ts);
 * - `uow.getChangeSets()` and `getExtraUpdates()` in `onFlush`: what is about to be written, before any of it is;
 * - the helper of an entity (WrappedEntity.ts): `__data` behind the tracked properties, `__originalEntityData` that changes
 *   are told by, and the fields named in FIELDS. Tracked properties are accessors of the entity itself; one that
 *   is taken away comes back by a setter of the prototype (EntityHelper.ts);
 * - a Collection can be emptied by `hydrate([])` and filled by `addWithoutPropagation`, but not made unloaded again or
 *   writable again, and a ScalarReference not unloaded: those are replaced (Collection.ts, Reference.ts).
 */

/**
 * What an entity manager has in memory, to go back to: which entities it manages, and the state of each. Made right after
 * a flush, so nothing is pending.
 */
export class IdentityMapSnapshot {
  readonly #em: EntityManager
  readonly #entities = new Map<Entity, EntityMemory>()
  readonly #stores = new Map<EntityMetadata, [string, Entity][]>()
  /** The entities inserted since then, as they were when their insert was about to be sent. */
  readonly #inserted = new Map<Entity, EntityMemory>()
  /** What takes an entity that came later and was then written back to what a later flush has to compare it with. */
  readonly #loaded = new Map<Entity, () => void>()

  /** What is unchanged since `previous` is not copied again. */
  constructor(em: EntityManager, previous?: IdentityMapSnapshot) {
    this.#em = em
    const identityMap = em.getUnitOfWork(false).getIdentityMap()
    for (const entity of identityMap.values() as Entity[]) {
      const known = previous === undefined ? undefined : previous.#entities.get(entity)
      this.#entities.set(entity, known?.isCurrent() === true ? known : new EntityMemory(entity))
      const { root } = helperOf(entity).__meta
      if (!this.#stores.has(root)) this.#stores.set(root, [...(identityMap.getStore(root) as Map<string, Entity>)])
    }
  }

  /** To be told of each flush after it was made, before anything is written. */
  noteFlush(uow: UnitOfWork): void {
    for (const { entity, type } of uow.getChangeSets() as { entity: Entity; type: ChangeSetType }[]) {
      this.#noteWrite(entity, type === ChangeSetType.CREATE ? postponed(uow, entity) : undefined)
    }
  }

  /** To be told before an upsert of an entity. */
  noteUpsert(entity: Entity): void {
    this.#noteWrite(entity, helperOf(entity).__originalEntityData === undefined ? new Map() : undefined)
  }

  /** To be told of what an upsert made of plain data: whether the row had been there is not known. */
  noteUpserted(entity: Entity): void {
    if (this.#entities.has(entity) || this.#inserted.has(entity)) return
    // So that a later persist takes it for a new one.
    this.#loaded.set(entity, () => Reflect.deleteProperty(helperOf(entity), '__originalEntityData'))
  }

  /**
   * Goes back. Entities managed then are managed again, the same objects with the state they had; what was inserted since
   * is new again, as it was when it was inserted; what was loaded since is no longer managed, and keeps its values.
   */
  restore(): void {
    const uow = this.#em.getUnitOfWork(false)
    const later = new Set([...(uow.getIdentityMap().values() as Entity[]), ...this.#loaded.keys()])
    uow.clear()
    for (const entity of later) if (!this.#entities.has(entity)) this.#detach(entity)
    for (const memory of this.#inserted.values()) memory.restoreAsNew()
    for (const memory of this.#entities.values()) memory.restore()
    for (const [root, entries] of this.#stores) refill(uow.getIdentityMap(), root, entries)
    this.#inserted.clear()
    this.#loaded.clear()
  }

  /** `insert` are the values that an insert takes from the entity for the time being; none if it is an update. */
  #noteWrite(entity: Entity, insert: ReadonlyMap<PropertyKey, unknown> | undefined): void {
    if (this.#entities.has(entity)) return
    if (insert !== undefined) this.#inserted.set(entity, new EntityMemory(entity, insert))
    else if (!this.#inserted.has(entity) && !this.#loaded.has(entity)) this.#loaded.set(entity, asLoaded(entity))
  }

  #detach(entity: Entity): void {
    const wrapped = helperOf(entity)
    wrapped['__managed'] = false
    wrapped['__processing'] = false
    this.#loaded.get(entity)?.()
  }
}

/** Remembers what the row of an entity is known to hold, which an update would change. */
function asLoaded(entity: Entity): () => void {
  const wrapped = helperOf(entity)
  const original = { ...wrapped.__originalEntityData }
  const { versionProperty } = wrapped.__meta as EntityMetadata<Entity>
  const version = entity[versionProperty]
  return () => {
    wrapped.__originalEntityData = original
    if (version !== undefined) entity[versionProperty] = version
  }
}

/** What MikroORM takes from an entity while it inserts it, to write it by a statement of its own when all rows are there. */
function postponed(uow: UnitOfWork, entity: Entity): Map<PropertyKey, unknown> {
  const values = new Map<PropertyKey, unknown>()
  for (const [owner, names, kept] of uow.getExtraUpdates()) {
    if (owner !== entity) continue
    if (Array.isArray(names)) names.forEach((name, index) => values.set(name, (kept as unknown[])[index]))
    else values.set(names, kept)
  }
  return values
}

function refill(identityMap: IdentityMap, root: EntityMetadata, entries: readonly [string, Entity][]): void {
  const store = identityMap.getStore(root) as Map<string, Entity>
  for (const [hash, entity] of entries) {
    const [, schema, key, value] = /^(?:(.*):)?\[(.+?)\](.*)$/s.exec(hash) ?? []
    // So that a removal finds the entry as well.
    if (key !== undefined && value !== undefined) identityMap.storeByKey(entity, key, value, schema)
    else store.set(hash, entity)
  }
}
