import {
  FlushMode,
  helper,
  Reference,
  ReferenceKind,
  ScalarReference,
  Utils,
  type EntityMetadata,
  type EntityProperty,
  type FilterQuery,
} from '@mikro-orm/core'

/** Properties that have a column in the entity's table, in the order of their declaration. */
export function columnsOf(meta: EntityMetadata): EntityProperty[] {
  return meta.props.filter((property) => property.persist !== false && isColumn(meta, property))
}

function isColumn(meta: EntityMetadata, { kind, owner, object, embedded, fieldNames }: EntityProperty): boolean {
  if (!fieldNames?.length) return false
  // Part of an object that is stored as one JSON document.
  if (embedded !== undefined && meta.props.find((each) => each.name === embedded[0])?.object) return false
  if (kind === ReferenceKind.EMBEDDED) return object === true
  if (kind === ReferenceKind.ONE_TO_ONE) return owner
  return kind === ReferenceKind.SCALAR || kind === ReferenceKind.MANY_TO_ONE
}

/** Names and values of the loaded columns. */
export function loadedColumns(entity: object): [name: string, value: unknown][] {
  return columnsOf(helper(entity).__meta)
    .filter((property) => isLoaded(entity, property))
    .map((property) => [property.name, valueOf(entity, property)])
}

/** Loads missing columns in one statement, which flushes nothing and leaves changes alone. */
export async function loadColumns(entity: object): Promise<void> {
  const { __em: em, __meta: meta } = helper(entity)
  const missing = columnsOf(meta).filter((property) => !isLoaded(entity, property))
  if (missing.length === 0 || em === undefined || !helper(entity).hasPrimaryKey()) return
  const fields = [...new Set(missing.map(rootOf))]
  const where = helper(entity).getPrimaryKey() as FilterQuery<any>
  await em.findOne(meta.class, where, { fields: fields as never[], filters: false, flushMode: FlushMode.COMMIT })
}

/** Every column; undefined for one that is not loaded. */
export function allColumns(entity: object): Record<string, unknown> {
  const columns = columnsOf(helper(entity).__meta)
  return Object.fromEntries(columns.map((property) => [property.name, valueOf(entity, property)]))
}

function isLoaded(entity: object, property: EntityProperty): boolean {
  const value = rawValue(entity, property)
  if (value instanceof ScalarReference) return value.isInitialized()
  // Under forceUndefined a loaded null is undefined.
  return value !== undefined || helper(entity).__loadedProperties.has(property.name)
}

function valueOf(entity: object, property: EntityProperty): unknown {
  const value = rawValue(entity, property)
  if (value instanceof ScalarReference) return value.isInitialized() ? value.unwrap() : undefined
  return Utils.isEntity(value, true) ? keyOf(Reference.unwrapReference(value), property) : value
}

/** The value in the column: of a reference, the primary key or other key that the relation uses. */
function keyOf(target: object, { targetKey, fieldNames }: EntityProperty): unknown {
  if (targetKey !== undefined) return (target as Record<string, unknown>)[targetKey]
  return fieldNames.length > 1 ? helper(target).getPrimaryKeys() : helper(target).getPrimaryKey()
}

/** Reads a property; the part of an embeddable is a column of its own, but its value is in the embedded object. */
function rawValue(entity: object, { name, embedded, embeddedPath }: EntityProperty): unknown {
  const path = embedded === undefined ? [name] : (embeddedPath ?? embedded)
  return path.reduce<unknown>(
    (value, part) => (value == null ? value : (value as Record<string, unknown>)[part]),
    entity,
  )
}

function rootOf({ name, embedded, embeddedPath }: EntityProperty): string {
  return embedded === undefined ? name : ((embeddedPath ?? embedded)[0] ?? name)
}
