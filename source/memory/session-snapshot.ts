import { ChangeSetType, type EntityManager, type EntityMetadata, type UnitOfWork } from '@mikro-orm/core'
import { EntitySnapshot } from './entity-snapshot.ts'
import { letGo, Places } from './later-entities.ts'
import { entriesOf, ManagerSnapshot, type Entry } from './manager-snapshot.ts'
import { helperOf, isManaged, type Entity } from './wrapped-entity.ts'

/*
 * Parts of MikroORM's bookkeeping in memory that this room relies on. MikroORM 7.2.1 has no way back to an earlier state
 * of its own (https://github.com/mikro-orm/mikro-orm/tree/v7.2.1/packages/core/src).
 *
 * - `uow.getIdentityMap()`: its live `getStore(meta)`, which holds entities by hash of the primary key, and by
 *   `[key]value` where `storeByKey` put them (IdentityMap.ts);
 * - the live sets of entities to persist, to remove, and to remove as orphans: `uow.getPersistStack()` and its like;
 * - `uow.clear()` empties the identity map and these sets, and touches no entity (UnitOfWork.ts);
 * - `uow.getChangeSets()` and `getExtraUpdates()` in `onFlush`: the writes of a flush, before the first is sent;
 * - the helper of an entity (WrappedEntity.ts): `__data` behind the tracked properties, `__originalEntityData` that a flush
 *   compares with, and the fields named in FIELDS. Tracked properties are accessors of the entity itself; a setter of the
 *   prototype brings a deleted one back (EntityHelper.ts);
 * - the own accessor of a to-one relation changes the other side, also where a read sets it, and is replaceable
 *   (EntityHelper.ts);
 * - a Collection can be emptied by `hydrate([])` and filled by `addWithoutPropagation`, but not made unloaded again or
 *   writable again, and a ScalarReference not unloaded: both are replaced then (Collection.ts, Reference.ts).
 */

/** The entities for which a restore leaves something to do. */
export interface Restored {
  /** Entities to read anew, each with its entity manager: their values may have been rolled back. */
  readonly later: ReadonlyMap<Entity, EntityManager>
  /** Entities without a place: another object stands for their row. */
  readonly displaced: ReadonlySet<Entity>
  /** Entities with a value that could not be brought back. */
  readonly unrestored: readonly EntitySnapshot[]
}

/** The entities that the entity managers of one session manage, and the state of each, to go back to. */
export class SessionSnapshot {
  readonly #managers = new Map<EntityManager, ManagerSnapshot>()
  readonly #entities = new Map<Entity, EntitySnapshot>()
  /** The entities inserted since, as they were when their insert was about to be sent. */
  readonly #inserted = new Map<Entity, EntitySnapshot>()
  /** Entities that came later and were written since, each with a function that restores its stored values. */
  readonly #written = new Map<Entity, () => void>()
  /** Entities written outside the transaction, and so not undone with it, each with its entity manager. */
  readonly #elsewhere = new Map<Entity, EntityManager>()

  /** Entities unchanged since `previous` are not copied again. */
  constructor(managers: readonly EntityManager[], previous?: SessionSnapshot) {
    for (const em of managers) {
      const snapshot = new ManagerSnapshot(em)
      this.#managers.set(em, snapshot)
      for (const entity of snapshot.entities) this.#take(entity, em, previous)
    }
  }

  #take(entity: Entity, em: EntityManager, previous?: SessionSnapshot): void {
    if (this.#entities.has(entity)) return
    const known = previous === undefined ? undefined : previous.#entities.get(entity)
    this.#entities.set(entity, known?.isCurrent() === true ? known : new EntitySnapshot(entity, em.getComparator()))
  }

  /** Called for each flush before it writes. */
  noteFlush(em: EntityManager, uow: UnitOfWork): void {
    for (const { entity, type } of uow.getChangeSets() as { entity: Entity; type: ChangeSetType }[]) {
      if (!em.isInTransaction()) this.#elsewhere.set(entity, em)
      else this.#noteWrite(em, entity, type === ChangeSetType.CREATE ? postponed(uow, entity) : undefined)
    }
  }

  /** Called before an upsert of an entity. */
  noteUpsert(em: EntityManager, entity: Entity): void {
    this.#noteWrite(em, entity, helperOf(entity).__originalEntityData === undefined ? new Map() : undefined)
  }

  /** Called for the entity that an upsert of plain data made: its row may have been there before. */
  noteUpserted(entity: Entity): void {
    if (this.#entities.has(entity) || this.#inserted.has(entity)) return
    // A later persist takes an entity without original data for a new one.
    this.#written.set(entity, () => Reflect.deleteProperty(helperOf(entity), '__originalEntityData'))
  }

  /** Called for the rollback of a later snapshot: the entities that are new again belong to the program. */
  noteRollback({ inserted }: { readonly inserted: Iterable<Entity> }): void {
    for (const entity of inserted) this.#inserted.delete(entity)
  }

  get inserted(): Iterable<Entity> {
    return this.#inserted.keys()
  }

  /**
   * Goes back. Entities managed then are managed again, the same objects with the state they had; pending ones are pending
   * again. Entities inserted since are new again, as they were at their insert. Entities loaded since stay managed.
   * `heir` gets the entities of `givenUp`, an entity manager that is not used any more.
   */
  restore(heir: EntityManager, givenUp?: EntityManager): Restored {
    const found = [...this.#managers.keys()].map((em) => ({ em, entries: this.#laterIn(em) }))
    if (givenUp !== undefined) found.push({ em: heir, entries: this.#laterIn(givenUp) })
    givenUp?.clear()
    for (const snapshot of this.#inserted.values()) snapshot.restore()
    for (const snapshot of this.#entities.values()) if (!this.#elsewhere.has(snapshot.entity)) snapshot.restore()
    for (const snapshot of this.#managers.values()) snapshot.restore(this.#elsewhere)
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

  #unrestored(): EntitySnapshot[] {
    return [...this.#entities.values()].filter((snapshot) => snapshot.unrestored().length > 0)
  }

  /** Lists the entities of an entity manager that came later. New ones are let go. */
  #laterIn(em: EntityManager): Entry[] {
    const later = entriesOf(em).filter(({ entity }) => !this.#entities.has(entity) && !this.#elsewhere.has(entity))
    return later.filter(({ entity }) => {
      const isNew = !isManaged(entity) || this.#inserted.has(entity)
      if (isNew) letGo(entity)
      return !isNew
    })
  }

  /** `insert` holds the values that an insert postpones; undefined for an update. */
  #noteWrite(em: EntityManager, entity: Entity, insert: ReadonlyMap<PropertyKey, unknown> | undefined): void {
    if (this.#entities.has(entity)) return
    if (insert !== undefined) this.#inserted.set(entity, new EntitySnapshot(entity, em.getComparator(), insert))
    else if (!this.#inserted.has(entity) && !this.#written.has(entity)) this.#written.set(entity, asLoaded(entity))
  }
}

/** Keeps the values known to be in the row of an entity, which an update would change. */
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

/** Lists the values that MikroORM takes from an entity at its insert, to write them once all rows are there. */
function postponed(uow: UnitOfWork, entity: Entity): Map<PropertyKey, unknown> {
  const values = new Map<PropertyKey, unknown>()
  for (const [owner, names, kept] of uow.getExtraUpdates()) {
    if (owner !== entity) continue
    if (Array.isArray(names)) names.forEach((name, index) => values.set(name, (kept as unknown[])[index]))
    else values.set(names, kept)
  }
  return values
}
