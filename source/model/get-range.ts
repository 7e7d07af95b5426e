import type { EntityName, FilterQuery, Loaded } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { assertKnownFilters } from './known-filters.ts'
import { knownColumn, type Column } from './known-column.ts'
import { pageOf, type Page } from './query-page.ts'
import { orderBy, type Direction } from './query-terms.ts'

/** Which entities `getRange` gives, in which order, and which page of them. */
export interface RangeOptions<Entity> extends Page {
  /** Of every column of the order. Default `'asc'`. */
  readonly direction?: Direction | undefined
  /** One column or several. Default: the primary key, which also decides between rows that are equal by these. */
  readonly orderBy?: Column<Entity> | readonly Column<Entity>[] | undefined
  /** Whether columns of text are ordered by `lower()`, of which SQLite's folds ASCII letters only. Default true: they are not. */
  readonly caseSensitive?: boolean | undefined
  /** As MikroORM's `where`, whose operators work in it: it is the program's to write and not a client's. Default: none. */
  readonly filters?: FilterQuery<Entity> | undefined
}

/**
 * A page of the entities, in an order that is the same each time.
 *
 * The entities are managed by the session.
 *
 * @throws UnknownColumnError (`SQLASSIST_UNKNOWN_COLUMN`) for a column of the order or of the filters
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) for a bad offset, limit or direction, or a `?` in a name of the filters
 */
export async function getRange<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  options: RangeOptions<Entity> = {},
): Promise<Loaded<Entity>[]> {
  const { direction = 'asc', caseSensitive = true, filters = {} } = options
  const names = [options.orderBy ?? []].flat()
  const columns = names.map((name) => knownColumn(em, entity, name))
  assertKnownFilters(em, entity, filters)
  const order = orderBy(em, entity, columns, { direction, caseSensitive })
  return await em.find(entity, filters, { ...pageOf(options), orderBy: order })
}
