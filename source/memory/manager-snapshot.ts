import type { EntityManager, EntityMetadata, IdentityMap } from '@mikro-orm/core'
import { helperOf, type Entity } from './entity-snapshot.ts'

// identity-map-snapshot.ts lists what it relies on.

/** An entity where an identity map has it. */
export interface Entry {
  readonly root: EntityMetadata
  readonly hash: string
  readonly entity: Entity
}

/** What one entity manager manages, and what is pending in it. */
export class ManagerMemory {
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

  /** Empties the entity manager, and gives it what it had but `others`. Its entities have to be restored already. */
  restore(others: ReadonlyMap<Entity, unknown>): void {
    const isOwn = (entity: Entity): boolean => !others.has(entity)
    const [removed, orphans] = [this.#removed.filter(isOwn), this.#orphans.filter(isOwn)]
    const uow = this.#em.getUnitOfWork(false)
    uow.clear()
    for (const entry of this.#entries) if (isOwn(entry.entity)) placeIn(uow.getIdentityMap(), entry)
    for (const entity of this.#persisted.filter(isOwn)) uow.persist(entity, undefined, { cascade: false })
    // Scheduled as orphans, so that the next query of their kind flushes first; a removal would change what refers to them.
    for (const entity of [...removed, ...orphans]) uow.scheduleOrphanRemoval(entity, new Set([entity]))
    for (const entity of removed) {
      uow.getRemoveStack().add(entity)
      if (!orphans.includes(entity)) uow.getOrphanRemoveStack().delete(entity)
    }
  }
}

/** All that an identity map holds, by each key that it has it by. */
export function entriesOf(em: EntityManager): Entry[] {
  const identityMap = em.getUnitOfWork(false).getIdentityMap()
  const roots = new Set<EntityMetadata>()
  for (const entity of identityMap) roots.add(helperOf(entity as Entity).__meta.root)
  return [...roots].flatMap((root) =>
    [...(identityMap.getStore(root) as Map<string, Entity>)].map(([hash, entity]) => ({ root, hash, entity })),
  )
}

/** Puts an entity where it was found. */
export function placeIn(identityMap: IdentityMap, { root, hash, entity }: Entry): void {
  const [, schema, key, value] = /^(?:(.*):)?\[(.+?)\](.*)$/s.exec(hash) ?? []
  // So that a removal finds the entry as well.
  if (key !== undefined && value !== undefined) identityMap.storeByKey(entity, key, value, schema)
  else (identityMap.getStore(root) as Map<string, Entity>).set(hash, entity)
}
