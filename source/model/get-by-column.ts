import type { EntityName, FilterQuery, Loaded } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { MoreThanOneError, QueryArgumentError } from './errors.ts'
import { knownColumn, type TextColumn } from './known-column.ts'
import { pageOf, type Page } from './query-page.ts'
import { literalPattern, lowerCondition, orderBy } from './query-terms.ts'
import { assertText, mayBeFound } from './query-values.ts'

const MATCHES = ['prefix', 'anywhere'] as const

/** How `getByColumnLower` finds one entity. */
export interface OneByColumn {
  /** At most one entity is wanted. The default. */
  readonly many?: false | undefined
}

/** How `getByColumnLower` finds all entities, a page of them at a time. */
export interface ManyByColumn extends Page {
  /** All entities that fit, in the order of their primary keys. */
  readonly many: true
}

/** How `getByColumnSimilar` compares, and which page of the result it returns. */
export interface SimilarOptions extends Page {
  /** `'prefix'`: the text begins with the seed; `'anywhere'`: it contains it. Default `'prefix'`. */
  readonly match?: (typeof MATCHES)[number] | undefined
}

/**
 * Finds the entity whose column equals `search`, ignoring case, or null; with `many` an array of all of them.
 *
 * The database folds both sides with `lower()`, so that it can use an index on `lower(column)`. PostgreSQL folds by its
 * locale, SQLite ASCII letters only. A search with the character U+0000 finds nothing. The session manages the entities.
 *
 * @throws MoreThanOneError (`SQLASSIST_MORE_THAN_ONE`) when more than one fits and `many` was not asked for
 * @throws UnknownColumnError (`SQLASSIST_UNKNOWN_COLUMN`)
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) for a search that is no string, a bad offset or limit
 */
export async function getByColumnLower<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  column: TextColumn<Entity>,
  search: string,
  options?: OneByColumn,
): Promise<Loaded<Entity> | null>
export async function getByColumnLower<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  column: TextColumn<Entity>,
  search: string,
  options: ManyByColumn,
): Promise<Loaded<Entity>[]>
export async function getByColumnLower<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  column: TextColumn<Entity>,
  search: string,
  options: OneByColumn | ManyByColumn = {},
): Promise<Loaded<Entity>[] | Loaded<Entity> | null> {
  const property = knownColumn(em, entity, column)
  assertText('search', search)
  const page = pageOf(options.many === true ? options : { limit: 2 })
  const find = { ...page, orderBy: orderBy(em, entity, []) }
  const where = () => lowerCondition(em, property, '=', search) as FilterQuery<NoInfer<Entity>>
  const found = mayBeFound(search) ? await em.find(entity, where(), find) : []
  if (options.many === true) return found
  if (found.length > 1) throw new MoreThanOneError(em.getMetadata().get(entity).className, column)
  return found[0] ?? null
}

/**
 * Finds the entities whose column begins with `seed`, or contains it, ignoring case; in the order of the column.
 *
 * `%`, `_` and every other character of the seed stand for themselves. The empty seed fits every row that has a value. The
 * database folds both sides with `lower()`: PostgreSQL by its locale, SQLite ASCII letters only. A seed with the character
 * U+0000 finds nothing. The session manages the entities.
 *
 * @throws UnknownColumnError (`SQLASSIST_UNKNOWN_COLUMN`)
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) for a seed that is no string, a bad match, offset or limit
 */
export async function getByColumnSimilar<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  column: TextColumn<Entity>,
  seed: string,
  options: SimilarOptions = {},
): Promise<Loaded<Entity>[]> {
  const { match = 'prefix' } = options
  const property = knownColumn(em, entity, column)
  assertText('seed', seed)
  if (!MATCHES.includes(match)) throw new QueryArgumentError('match', `'prefix' or 'anywhere'`, match)
  const find = { ...pageOf(options), orderBy: orderBy(em, entity, [property]) }
  if (!mayBeFound(seed)) return []
  const pattern = `${match === 'anywhere' ? '%' : ''}${literalPattern(seed)}%`
  return await em.find(entity, lowerCondition(em, property, 'like', pattern) as FilterQuery<NoInfer<Entity>>, find)
}

/**
 * Finds the entity whose column equals `seed`, or else one whose column equals it ignoring case, or null.
 *
 * Of several that fit equally well, the first by primary key is returned. `%` and `_` stand for themselves. The second
 * statement is sent only if the first found nothing. PostgreSQL folds by its locale, SQLite ASCII letters only. A seed with
 * the character U+0000 finds nothing. The session manages the entity.
 *
 * @throws UnknownColumnError (`SQLASSIST_UNKNOWN_COLUMN`)
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) for a seed that is no string
 */
export async function getByColumnExactThenIlike<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  column: TextColumn<Entity>,
  seed: string,
): Promise<Loaded<Entity> | null> {
  const property = knownColumn(em, entity, column)
  assertText('seed', seed)
  if (!mayBeFound(seed)) return null
  const first = async (where: object) => {
    const [found] = await em.find(entity, where, {
      limit: 1,
      orderBy: orderBy(em, entity, []),
    })
    return found ?? null
  }
  return (await first({ [property.name]: seed })) ?? (await first(lowerCondition(em, property, '=', seed)))
}
