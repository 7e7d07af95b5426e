import type { EntityMetadata, MetadataStorage } from '@mikro-orm/core'

/** A foreign key by the entities: the table it refers to, and its name, if given by hand. */
export interface ForeignKeyTarget {
  readonly table: string
  readonly name: string | undefined
}

/** Finds the foreign key over these columns of this table, if an entity has it. */
export function foreignKeyTarget(
  metadata: MetadataStorage,
  table: string,
  columns: readonly string[],
): ForeignKeyTarget | undefined {
  const metas = [...metadata].filter((meta) => meta.tableName === table)
  const found = (matches: Matches) => metas.map((meta) => targetIn(meta, matches)).find((each) => each !== undefined)
  // MikroORM passes the array of the entity itself, by which tables of one name in two schemas differ. For a foreign key
  // read from the database it has the names only.
  return found((fieldNames) => fieldNames === columns) ?? found((fieldNames) => same(fieldNames, columns))
}

type Matches = (fieldNames: readonly string[]) => boolean

function targetIn(meta: EntityMetadata, matches: Matches): ForeignKeyTarget | undefined {
  const relation = meta.props.find((each) => each.referencedTableName && !each.polymorphic && matches(each.fieldNames))
  if (relation) return { table: withoutSchema(relation.referencedTableName), name: relation.foreignKeyName }
  // A row of a child table refers to its parent's row by its primary key.
  if (meta.tptParent === undefined) return undefined
  const primaryKey = meta.getPrimaryProps().flatMap((each) => each.fieldNames)
  return matches(primaryKey) ? { table: withoutSchema(meta.tptParent.tableName), name: undefined } : undefined
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index])
}

export function withoutSchema(table: string): string {
  return table.slice(table.indexOf('.') + 1)
}
