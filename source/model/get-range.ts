import type { EntityName, FilterQuery, Loaded } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { assertKnownFilters } from './checked-filters.ts'
import { knownColumn, type Column } from './known-column.ts'
import { pageOf, type Page } from './query-page.ts'
import { orderBy, type Direction } from './query-terms.ts'

/** Which entities `getRange` returns, in which order, and which page of them. */
export interface RangeOptions<Entity> extends Page {
  /** The direction of every column of the order. Default `'asc'`. */
  readonly direction?: Direction | undefined
  /** One column or several. Default: the primary key, which also decides between rows with equal columns. */
  readonly orderBy?: Column<Entity> | readonly Column<Entity>[] | undefined
  /** `false` orders columns of text by `lower()`, which folds ASCII letters only in SQLite. Default true. */
  readonly caseSensitive?: boolean | undefined
  /** As MikroORM's `where`, including its operators: never pass a client's object. Default: none. */
  readonly filters?: FilterQuery<Entity> | undefined
}

/**
 * Finds a page of the entities, in a total order: rows with equal columns go by primary key.
 *
 * The session manages the entities.
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
