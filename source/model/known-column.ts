import {
  StringType,
  TextType,
  type Collection,
  type EntityKey,
  type EntityName,
  type EntityProperty,
  type ScalarReference,
} from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { columnsOf } from './entity-columns.ts'
import { UnknownColumnError } from './errors.ts'

/** The names of an entity's properties that are columns: not its collections and methods. */
export type Column<Entity> = {
  [Key in EntityKey<Entity>]: NonNullable<Entity[Key]> extends Collection<any, any> ? never : Key
}[EntityKey<Entity>]

/** The names of an entity's columns that hold text. */
export type TextColumn<Entity> = {
  [Key in EntityKey<Entity>]: NonNullable<Unwrapped<NonNullable<Entity[Key]>>> extends string ? Key : never
}[EntityKey<Entity>]

/** The names of an entity's columns that hold a value by which a row can be looked up. */
export type IdColumn<Entity> = {
  [Key in EntityKey<Entity>]: NonNullable<Entity[Key]> extends IdValue ? Key : never
}[EntityKey<Entity>]

type IdValue = string | number | bigint | Date | Uint8Array

/** The value of such a column. */
export type IdIn<Entity, Name extends IdColumn<Entity>> = NonNullable<Entity[Name]>

type Unwrapped<Value> = Value extends ScalarReference<infer Inner> ? Inner : Value

/**
 * Finds the column called `name`, which may come from a client: only names of declared columns are accepted.
 * @throws UnknownColumnError
 */
export function knownColumn(em: SqlEntityManager, entity: EntityName, name: unknown): EntityProperty {
  const meta = em.getMetadata().get(entity)
  const columns = columnsOf(meta)
  const found = columns.find((each) => each.name === name)
  if (found === undefined) {
    const names = columns.map((each) => each.name)
    throw new UnknownColumnError(meta.className, name, names)
  }
  return found
}

/** Whether the column is text in the database. An uuid, a decimal or an enum may be a string in the entity only. */
export function isText(em: SqlEntityManager, { columnTypes: [type = ''] }: EntityProperty): boolean {
  const mapped = em.getPlatform().getMappedType(type)
  return mapped instanceof StringType || mapped instanceof TextType
}
