import { ChangeSetType, type EntityManager, type EntityMetadata, type UnitOfWork } from '@mikro-orm/core'
import { EntityMemory, helperOf, type Entity } from './entity-snapshot.ts'
import { isManaged, letGo, Places } from './later-entities.ts'
import { entriesOf, ManagerMemory, type Entry } from './manager-snapshot.ts'

/*
 * What savepoints rely on of MikroORM's bookkeeping in memory; it is touched here, in entity-memory.ts, manager-memory.ts,
 * replaceable-memory.ts and later-entities.ts, and nowhere else. MikroORM 7.2.1 itself has no way back to an earlier state
 * (https://github.com/mikro-orm/mikro-orm/tree/v7.2.1/packages/core/src).
 *
 * - `uow.getIdentityMap()`: its live `getStore(meta)`, which holds entities by hash of the primary key, and by
 *   `[key]value` where `storeByKey` put them (IdentityMap.ts);
 * - the live sets of what is to be persisted, removed, or removed as an orphan: `uow.getPersistStack()` and its like;
 * - `uow.clear()` empties the identity map and forgets all that is pending, and touches no entity (UnitOfWork.ts);
 * - `uow.getChangeSets()` and `getExtraUpdates()` in `onFlush`: what is about to be written, before any of it is;
 * - the helper of an entity (WrappedEntity.ts): `__data` behind the tracked properties, `__originalEntityData` that changes
 *   are told by, and the fields named in FIELDS. Tracked properties are accessors of the entity itself; one that
 *   is taken away comes back by a setter of the prototype (EntityHelper.ts);
 * - a Collection can be emptied by `hydrate([])` and filled by `addWithoutPropagation`, but not made unloaded again or
 *   writable again, and a ScalarReference not unloaded: those are replaced (Collection.ts, Reference.ts).
 */

/** What a rollback left: the entities that came later, each with the entity manager that has it from now on. */
export interface Restored {
  /** To be read anew: what they hold may be what was rolled back. */
  readonly later: ReadonlyMap<Entity, EntityManager>
  /** Without a place: another object stands for their row. */
  readonly displaced: ReadonlySet<Entity>
  /** Those of which something could not be brought back. */
  readonly unrestored: readonly EntityMemory[]
}

/** What entity managers of one session have in memory, to go back to: which entities they manage, and the state of each. */
export class IdentityMapSnapshot {
  readonly #managers = new Map<EntityManager, ManagerMemory>()
  readonly #entities = new Map<Entity, EntityMemory>()
  /** The entities inserted since then, as they were when their insert was about to be sent. */
  readonly #inserted = new Map<Entity, EntityMemory>()
  /** What takes an entity that came later and was then written back to what a later flush has to compare it with. */
  readonly #written = new Map<Entity, () => void>()
  /** The entities written outside of the transaction, and so not undone with it: by whom. */
  readonly #elsewhere = new Map<Entity, EntityManager>()

  /** What is unchanged since `previous` is not copied again. */
  constructor(managers: readonly EntityManager[], previous?: IdentityMapSnapshot) {
    for (const em of managers) {
      const memory = new ManagerMemory(em)
      this.#managers.set(em, memory)
      for (const entity of memory.entities) this.#remember(entity, em, previous)
    }
  }

  #remember(entity: Entity, em: EntityManager, previous?: IdentityMapSnapshot): void {
    if (this.#entities.has(entity)) return
    const known = previous === undefined ? undefined : previous.#entities.get(entity)
    this.#entities.set(entity, known?.isCurrent() === true ? known : new EntityMemory(entity, em.getComparator()))
  }

  /** To be told of each flush after it was made, before anything is written. */
  noteFlush(em: EntityManager, uow: UnitOfWork): void {
    for (const { entity, type } of uow.getChangeSets() as { entity: Entity; type: ChangeSetType }[]) {
      if (!em.isInTransaction()) this.#elsewhere.set(entity, em)
      else this.#noteWrite(em, entity, type === ChangeSetType.CREATE ? postponed(uow, entity) : undefined)
    }
  }

  /** To be told before an upsert of an entity. */
  noteUpsert(em: EntityManager, entity: Entity): void {
    this.#noteWrite(em, entity, helperOf(entity).__originalEntityData === undefined ? new Map() : undefined)
  }

  /** To be told of what an upsert made of plain data: whether the row had been there is not known. */
  noteUpserted(entity: Entity): void {
    if (this.#entities.has(entity) || this.#inserted.has(entity)) return
    // So that a later persist takes it for a new one.
    this.#written.set(entity, () => Reflect.deleteProperty(helperOf(entity), '__originalEntityData'))
  }

  /** Called for the rollback of a later one: what is new again by that belongs to the program. */
  noteRollback({ inserted }: { readonly inserted: Iterable<Entity> }): void {
    for (const entity of inserted) this.#inserted.delete(entity)
  }

  get inserted(): Iterable<Entity> {
    return this.#inserted.keys()
  }

  /**
   * Goes back. Entities managed then are managed again, the same objects with the state they had, and what was pending is
   * pending again; what was inserted since is new again, as it was when it was inserted; what was loaded since stays
   * managed. `heir` gets what `givenUp` had, an entity manager that is not used any more.
   */
  restore(heir: EntityManager, givenUp?: EntityManager): Restored {
    const found = [...this.#managers.keys()].map((em) => ({ em, entries: this.#laterIn(em) }))
    if (givenUp !== undefined) found.push({ em: heir, entries: this.#laterIn(givenUp) })
    givenUp?.clear()
    for (const memory of this.#inserted.values()) memory.restore()
    for (const memory of this.#entities.values()) if (!this.#elsewhere.has(memory.entity)) memory.restore()
    for (const memory of this.#managers.values()) memory.restore(this.#elsewhere)
    const places = new Places(givenUp)
    for (const { em, entries } of found) for (const entry of entries) places.keep(entry, em)
    for (const [entity, em] of this.#elsewhere) places.readAnew(entity, em)
    for (const [entity, undo] of this.#written) {
      places.restore(entity, heir)
      if (!places.later.has(entity)) undo()
    }
    this.#written.clear()
    this.#elsewhere.clear()
    this.#inserted.clear()
    return { later: places.later, displaced: places.displaced, unrestored: this.#unrestored() }
  }

  #unrestored(): EntityMemory[] {
    return [...this.#entities.values()].filter((memory) => memory.unrestored().length > 0)
  }

  /** What an entity manager has that came later. What is new in it is let go. */
  #laterIn(em: EntityManager): Entry[] {
    const later = entriesOf(em).filter(({ entity }) => !this.#entities.has(entity) && !this.#elsewhere.has(entity))
    return later.filter(({ entity }) => {
      const isNew = !isManaged(entity) || this.#inserted.has(entity)
      if (isNew) letGo(entity)
      return !isNew
    })
  }

  /** `insert` are the values that an insert takes from the entity for the time being; none if it is an update. */
  #noteWrite(em: EntityManager, entity: Entity, insert: ReadonlyMap<PropertyKey, unknown> | undefined): void {
    if (this.#entities.has(entity)) return
    if (insert !== undefined) this.#inserted.set(entity, new EntityMemory(entity, em.getComparator(), insert))
    else if (!this.#inserted.has(entity) && !this.#written.has(entity)) this.#written.set(entity, asLoaded(entity))
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
