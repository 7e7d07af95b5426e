import type { EntityMetadata, MetadataStorage } from '@mikro-orm/core'

/** What the entities say of a foreign key: the table it refers to, and the name it was given by hand. */
export interface ForeignKeyTarget {
  readonly table: string
  readonly name: string | undefined
}

/** Where the foreign key over these columns of this table leads, if an entity has it. */
export function foreignKeyTarget(
  metadata: MetadataStorage,
  table: string,
  columns: readonly string[],
): ForeignKeyTarget | undefined {
  const metas = [...metadata].filter((meta) => meta.tableName === table)
  const found = (matches: Matches) => metas.map((meta) => targetIn(meta, matches)).find((each) => each !== undefined)
  // MikroORM hands over the very array of the entity, which tells tables of one name in two schemas apart;
  // of a foreign key that it read from the database it has the names alone
  return found((fieldNames) => fieldNames === columns) ?? found((fieldNames) => same(fieldNames, columns))
}

type Matches = (fieldNames: readonly string[]) => boolean

function targetIn(meta: EntityMetadata, matches: Matches): ForeignKeyTarget | undefined {
  const relation = meta.props.find((each) => each.referencedTableName && !each.polymorphic && matches(each.fieldNames))
  if (relation) return { table: withoutSchema(relation.referencedTableName), name: relation.foreignKeyName }
  // the row of a child table refers to that of its parent table by its primary key
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
