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

/** The properties that the table of an entity has a column for, in the order of their declaration. */
export function columnsOf(meta: EntityMetadata): EntityProperty[] {
  return meta.props.filter((property) => property.persist !== false && isColumn(meta, property))
}

function isColumn(meta: EntityMetadata, { kind, owner, object, embedded, fieldNames }: EntityProperty): boolean {
  if (!fieldNames?.length) return false
  // a part of what is stored as one JSON document
  if (embedded !== undefined && meta.props.find((each) => each.name === embedded[0])?.object) return false
  if (kind === ReferenceKind.EMBEDDED) return object === true
  if (kind === ReferenceKind.ONE_TO_ONE) return owner
  return kind === ReferenceKind.SCALAR || kind === ReferenceKind.MANY_TO_ONE
}

/** Name and value of each column that is there without asking the database. */
export function loadedColumns(entity: object): [name: string, value: unknown][] {
  return columnsOf(helper(entity).__meta)
    .filter((property) => isLoaded(entity, property))
    .map((property) => [property.name, valueOf(entity, property)])
}

/** Loads what is not loaded, in one statement that flushes nothing and leaves changes alone. */
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
  // null may be given out as undefined (forceUndefined), and is loaded all the same
  return value !== undefined || helper(entity).__loadedProperties.has(property.name)
}

function valueOf(entity: object, property: EntityProperty): unknown {
  const value = rawValue(entity, property)
  if (value instanceof ScalarReference) return value.isInitialized() ? value.unwrap() : undefined
  return Utils.isEntity(value, true) ? keyOf(Reference.unwrapReference(value), property) : value
}

/** What stands in the column: the primary key of the row referred to, or what else the relation goes by. */
function keyOf(target: object, { targetKey, fieldNames }: EntityProperty): unknown {
  if (targetKey !== undefined) return (target as Record<string, unknown>)[targetKey]
  return fieldNames.length > 1 ? helper(target).getPrimaryKeys() : helper(target).getPrimaryKey()
}

/** The parts of an embeddable are columns of their own, and stand in the object that it is. */
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
