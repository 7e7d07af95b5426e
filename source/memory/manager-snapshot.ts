import type { EntityManager, EntityMetadata, IdentityMap } from '@mikro-orm/core'
import { helperOf, type Entity } from './wrapped-entity.ts'

// session-snapshot.ts lists the parts of MikroORM that this room relies on.

/** The place of an entity in an identity map. */
export interface Entry {
  readonly root: EntityMetadata
  readonly hash: string
  readonly entity: Entity
}

/** The entities that one entity manager manages, and those pending in it. */
export class ManagerSnapshot {
  readonly #em: EntityManager
  readonly #entries: readonly Entry[]
  readonly #persisted: readonly Entity[]
  readonly #removed: readonly Entity[]
  readonly #orphans: readonly Entity[]

  constructor(em: EntityManager) {
    const uow = em.getUnitOfWork(false)
    this.#em = em
    this.#entries = entriesOf(em)
    this.#persisted = [...uow.getPersistStack()] as Entity[]
    this.#removed = [...uow.getRemoveStack()] as Entity[]
    this.#orphans = [...uow.getOrphanRemoveStack()] as Entity[]
  }

  get entities(): Entity[] {
    const managed = this.#entries.map(({ entity }) => entity)
    return [...managed, ...this.#persisted, ...this.#removed, ...this.#orphans]
  }

  /** Empties the entity manager and gives it the entities it had, without `others`. They have to be restored before. */
  restore(others: ReadonlyMap<Entity, unknown>): void {
    const isOwn = (entity: Entity): boolean => !others.has(entity)
    const [removed, orphans] = [this.#removed.filter(isOwn), this.#orphans.filter(isOwn)]
    const uow = this.#em.getUnitOfWork(false)
    uow.clear()
    for (const entry of this.#entries) if (isOwn(entry.entity)) placeIn(uow.getIdentityMap(), entry)
    for (const entity of this.#persisted.filter(isOwn)) uow.persist(entity, undefined, { cascade: false })
    // A removal would change the entities that refer to these. As orphans they make the next query of their kind flush.
    for (const entity of [...removed, ...orphans]) uow.scheduleOrphanRemoval(entity, new Set([entity]))
    for (const entity of removed) {
      uow.getRemoveStack().add(entity)
      if (!orphans.includes(entity)) uow.getOrphanRemoveStack().delete(entity)
    }
  }
}

/** Lists the entities of an identity map, once for each key. */
export function entriesOf(em: EntityManager): Entry[] {
  const identityMap = em.getUnitOfWork(false).getIdentityMap()
  const roots = new Set<EntityMetadata>()
  for (const entity of identityMap) roots.add(helperOf(entity as Entity).__meta.root)
  return [...roots].flatMap((root) =>
    [...(identityMap.getStore(root) as Map<string, Entity>)].map(([hash, entity]) => ({ root, hash, entity })),
  )
}

/** Puts an entity into the place that it had. */
export function placeIn(identityMap: IdentityMap, { root, hash, entity }: Entry): void {
  const [, schema, key, value] = /^(?:(.*):)?\[(.+?)\](.*)$/s.exec(hash) ?? []
  // A removal finds such an entry only if storeByKey() made it.
  if (key !== undefined && value !== undefined) identityMap.storeByKey(entity, key, value, schema)
  else (identityMap.getStore(root) as Map<string, Entity>).set(hash, entity)
}
