import { helper, type AnyEntity, type EntityMetadata, type EntityProperty } from '@mikro-orm/core'

// session-snapshot.ts lists the parts of MikroORM that this room relies on.

/** An entity, by its properties. */
export type Entity = AnyEntity & Record<PropertyKey, unknown>

/** The bookkeeping that MikroORM has of one entity. */
export type Wrapped = Record<string, unknown> & {
  __meta: EntityMetadata
  __data: Record<string, unknown>
  __originalEntityData?: Record<string, unknown>
  __loadedProperties: Set<string>
  __serializationContext: SerializationContext
}

/** Which properties a serialization leaves out and which relations it includes. */
export type SerializationContext = Record<string, unknown> & {
  populate?: unknown[]
  exclude?: unknown[]
  fields?: Set<string>
}

/** Properties that MikroORM defines on entities and embeddables for itself, and never changes. */
export const FIXED_KEYS: ReadonlySet<PropertyKey> = new Set(['__helper', '__gettersDefined'])

/** Returns the bookkeeping that MikroORM has of one entity. */
export function helperOf(entity: Entity): Wrapped {
  return helper(entity) as unknown as Wrapped
}

export function propertyOf(entity: Entity, key: PropertyKey): EntityProperty | undefined {
  return helperOf(entity).__meta.properties[key as never]
}

/** Whether MikroORM manages an entity at present. */
export function isManaged(entity: Entity): boolean {
  return helperOf(entity)['__managed'] === true
}

/** Copies a context, with the set that MikroORM changes in place. */
export function copyOfContext(context: SerializationContext): SerializationContext {
  return context.fields === undefined ? { ...context } : { ...context, fields: new Set(context.fields) }
}
