import { JsonType, ReferenceKind, Utils, type EntityMetadata, type EntityName } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { columnsOf } from './entity-columns.ts'
import { QueryArgumentError, UnknownColumnError } from './errors.ts'

const GROUPS = ['$and', '$or', '$not']

/** Placeholders that MikroORM replaces, even within the name of a part of a JSON document. */
const PLACEHOLDER = /\?|\[::alias::\]/

/** Refuses placeholders: MikroORM writes the name of a JSON part into the statement, and would write a value there. */
function assertNoPlaceholder(filters: unknown): void {
  if (Array.isArray(filters)) filters.forEach(assertNoPlaceholder)
  if (!Utils.isPlainObject(filters)) return
  for (const [key, value] of Object.entries(filters)) {
    if (PLACEHOLDER.test(key)) throw new QueryArgumentError('filters', 'without a ? in a name', key)
    assertNoPlaceholder(value)
  }
}

/**
 * Refuses names of no column. MikroORM quotes a name with a dot or a cast and sends it: harmless, but the statement fails,
 * and on PostgreSQL the transaction with it.
 * @throws UnknownColumnError
 * @throws QueryArgumentError for a name with a placeholder in it
 */
export function assertKnownFilters(em: SqlEntityManager, entity: EntityName, filters: unknown): void {
  assertKnown(em, entity, filters)
  assertNoPlaceholder(filters)
}

function assertKnown(em: SqlEntityManager, entity: EntityName, filters: unknown): void {
  if (Array.isArray(filters)) return filters.forEach((each) => assertKnown(em, entity, each))
  if (!Utils.isPlainObject(filters)) return
  const meta = em.getMetadata().get(entity)
  for (const [key, value] of Object.entries(filters)) {
    if (GROUPS.includes(key)) assertKnown(em, entity, value)
    else if (!Utils.isOperator(key) && !Utils.splitPrimaryKeys(key).every((name) => isKnown(meta, name))) {
      const names = columnsOf(meta).map((each) => each.name)
      throw new UnknownColumnError(meta.className, key, names)
    }
  }
}

/** Whether a name is that of a property or its column; `address.city` counts if `address` has parts. */
function isKnown(meta: EntityMetadata, name: string): boolean {
  const [root, ...parts] = name.split('.')
  const property = meta.props.find((each) => each.name === root || each.fieldNames?.includes(root ?? ''))
  if (property === undefined || parts.length === 0) return property !== undefined
  return property.kind !== ReferenceKind.SCALAR || property.customType instanceof JsonType
}
