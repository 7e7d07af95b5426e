import { UnderscoreNamingStrategy, type Configuration, type MetadataStorage } from '@mikro-orm/core'
import { foreignKeyTarget, withoutSchema } from './foreign-key-targets.ts'
import { whenHandedOut } from './handed-out-strategies.ts'
import { readForeignKeysWhole } from './whole-foreign-keys.ts'
import { shortenName } from './shorten-name.ts'

type NameType = Parameters<UnderscoreNamingStrategy['indexName']>[2]

const PREFIXES: Partial<Record<NameType, string>> = { primary: 'pk', unique: 'uq', index: 'ix', check: 'ck' }

/**
 * Names indexes and constraints as Alembic recommends and MikroORM's underscore strategy everything else, for the
 * `namingStrategy` option of MikroORM.
 *
 * | what | name |
 * | --- | --- |
 * | primary key | `pk_<table>` (SQLite keeps no name for it) |
 * | unique | `uq_<table>_<columns>` |
 * | index | `ix_<table>_<columns>` |
 * | check | `ck_<table>_<column>`, and `ck_<table>` for one that belongs to no column (SQLite: see below) |
 * | foreign key | `fk_<table>_<columns>_<referred table>` |
 *
 * Several columns are joined by `_`. Entities get equal names in every process and on every database, so the diff of an
 * applied schema is empty. A name given by hand stays: MikroORM does not pass it to the strategy, so write the whole name of
 * a named check (`ck_<table>_<name>`) where it is declared.
 *
 * On SQLite the check constraint of a column has no name, since MikroORM writes it without one. One of the entity's `checks`,
 * with a name of its own, is named on both databases.
 *
 * A name of more than 63 bytes, the limit of PostgreSQL, becomes its beginning and a hash of the whole: constant, and unique
 * to this name. SQLite has no limit; names are shortened there as well, so that they are equal everywhere. Names of tables
 * and columns made from a class or a property are shortened likewise.
 *
 * @see https://alembic.sqlalchemy.org/en/latest/naming.html
 */
export class ConventionNamingStrategy extends UnderscoreNamingStrategy {
  #configuration: Configuration | undefined

  /** MikroORM makes one for each ORM with this strategy. */
  constructor() {
    super()
    whenHandedOut(this, (configuration) => {
      this.#configuration = configuration
      readForeignKeysWhole(configuration)
    })
  }

  /** The name of an index or constraint, as the table above says. */
  override indexName(tableName: string, columns: string[], type: NameType): string {
    const table = withoutSchema(tableName)
    if (type === 'foreign') return this.#foreignKeyName(table, columns)
    const prefix = PREFIXES[type]
    if (prefix === undefined) return shortenName(super.indexName(tableName, columns, type))
    return shortenName(type === 'primary' ? joined(prefix, table) : joined(prefix, table, ...columns))
  }

  /** The table of an entity: MikroORM's, shortened. A table name given by hand stays. */
  override classToTableName(entityName: string, tableName?: string): string {
    return tableName ?? shortenName(super.classToTableName(entityName))
  }

  /** The column of a property: MikroORM's, shortened. */
  override propertyToColumnName(propertyName: string, object?: boolean): string {
    return shortenName(super.propertyToColumnName(propertyName, object))
  }

  /** The column of a reference: MikroORM's, shortened. */
  override joinColumnName(propertyName: string): string {
    return shortenName(super.joinColumnName(propertyName))
  }

  /** The column of a reference in a pivot table: MikroORM's, shortened. */
  override joinKeyColumnName(entity: string, column?: string, composite?: boolean, tableName?: string): string {
    return shortenName(super.joinKeyColumnName(entity, column, composite, tableName))
  }

  /** The pivot table of a many-to-many relation: MikroORM's, shortened. */
  override joinTableName(source: string, target: string, propertyName: string, tableName?: string): string {
    return shortenName(super.joinTableName(source, target, propertyName, tableName))
  }

  #foreignKeyName(table: string, columns: string[]): string {
    const metadata: MetadataStorage | undefined = this.#configuration?.getDriver().getMetadata()
    const target = metadata && foreignKeyTarget(metadata, table, columns)
    // The key is of no entity, but was read from the database; or the strategy is of no ORM.
    if (target === undefined) return shortenName(joined('fk', table, ...columns))
    return target.name ?? shortenName(joined('fk', table, ...columns, target.table))
  }
}

/** Joins names by `_`, also at the dots of a column inside a JSON document. */
function joined(...parts: string[]): string {
  return parts.join('_').replaceAll('.', '_')
}
