import type { EntityName } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { QueryArgumentError } from './errors.ts'

/** Refuses values that are no text, without converting them: a client that sends JSON could send an object. */
export function assertText(argument: string, given: unknown): asserts given is string {
  if (typeof given !== 'string') throw new QueryArgumentError(argument, 'a string', given)
}

/**
 * Whether a row can have this value. PostgreSQL stores no text with the character U+0000 and refuses the statement, which
 * would cost the transaction; SQLite's functions end the text there.
 */
export function mayBeFound(value: unknown): boolean {
  return Array.isArray(value) ? value.every(mayBeFound) : typeof value !== 'string' || !value.includes('\0')
}

/**
 * Makes the condition for the row of a primary key: a value, or an array of values in the order of the key's columns.
 * Refuses an object, which MikroORM would take for operators.
 * @throws QueryArgumentError
 */
export function keyCondition(em: SqlEntityManager, entity: EntityName, id: unknown): Record<string, unknown> {
  const { primaryKeys } = em.getMetadata().get(entity)
  const values = primaryKeys.length === 1 ? [id] : id
  const fits = Array.isArray(values) && values.length === primaryKeys.length
  if (!fits || !values.every((value) => isKeyValue(value) || (primaryKeys.length > 1 && isKeyValues(value)))) {
    const one = primaryKeys.length === 1
    throw new QueryArgumentError('id', one ? 'a value' : `an array of values for ${primaryKeys.join(', ')}`, id)
  }
  return Object.fromEntries(primaryKeys.map((name, index) => [name, values[index]]))
}

/** Makes the condition for the rows with this value in a column. @throws QueryArgumentError */
export function valueCondition(column: string, value: unknown): Record<string, unknown> {
  if (!isKeyValue(value)) throw new QueryArgumentError('id', 'a value', value)
  return { [column]: value }
}

/** Whether the part of a key is itself a key of several columns, of the row it refers to. */
function isKeyValues(value: unknown): boolean {
  return Array.isArray(value) && value.every(isKeyValue)
}

/** Accepts objects of a class, which may be values of a custom type. */
function isKeyValue(value: unknown): boolean {
  if (value == null || typeof value === 'function' || typeof value === 'symbol') return false
  if (typeof value !== 'object') return !Number.isNaN(value)
  if (Array.isArray(value) || value instanceof RegExp) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype !== null && prototype !== Object.prototype
}
