import { helper, type EntityName, type FilterQuery, type Loaded, type Primary } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { QueryArgumentError } from './errors.ts'
import { knownColumn, type IdColumn, type IdIn } from './known-column.ts'
import { orderBy } from './query-terms.ts'
import { keyCondition, mayBeFound, valueCondition } from './query-values.ts'

/** Fewer than the parameters of one statement in either database. */
const IDS_A_STATEMENT = 5_000

/** Which column the ids are of. */
export interface ByIdOptions<Name extends string = string> {
  /** A column, best a unique one. Default: the primary key. */
  readonly idColumn?: Name | undefined
}

/**
 * Finds the entity of that primary key, or null. A key of several columns is an array of values.
 *
 * The session manages the entity. One that the session has already is returned without a statement. With `idColumn` the id
 * is looked for in that column, by a statement; of several rows that have it, the first by primary key is returned.
 *
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) for null and undefined, an object or, where the key is one column, an array
 * @throws UnknownColumnError (`SQLASSIST_UNKNOWN_COLUMN`) for an `idColumn` that is none
 */
export async function getById<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  id: Primary<Entity>,
  options?: ByIdOptions<never>,
): Promise<Loaded<Entity> | null>
export async function getById<Entity extends object, Name extends IdColumn<Entity>>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  id: IdIn<Entity, Name>,
  options: ByIdOptions<Name>,
): Promise<Loaded<Entity> | null>
export async function getById<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  id: unknown,
  { idColumn }: ByIdOptions = {},
): Promise<Loaded<Entity> | null> {
  if (idColumn !== undefined) return await getByColumn(em, entity, id, idColumn)
  const where = keyCondition(em, entity, id) as FilterQuery<NoInfer<Entity>>
  return mayBeFound(id) ? await em.findOne(entity, where) : null
}

async function getByColumn<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  id: unknown,
  idColumn: string,
): Promise<Loaded<Entity> | null> {
  const { name } = knownColumn(em, entity, idColumn)
  const where = valueCondition(name, id) as FilterQuery<NoInfer<Entity>>
  if (!mayBeFound(id)) return null
  const [found] = await em.find(entity, where, { limit: 1, orderBy: orderBy(em, entity, []) })
  return found ?? null
}

/**
 * Finds the entities of these primary keys in the order of the keys, each once; missing ones are left out.
 *
 * The session manages the entities. One statement is sent for every 5000 keys, none for an empty array. With `idColumn` the
 * ids are looked for in that column; rows that have the same one are in the order of their primary keys.
 *
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) as `getById` does, and for keys that are no array
 * @throws UnknownColumnError (`SQLASSIST_UNKNOWN_COLUMN`) for an `idColumn` that is none
 */
export async function getByIds<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  ids: readonly Primary<Entity>[],
  options?: ByIdOptions<never>,
): Promise<Loaded<Entity>[]>
export async function getByIds<Entity extends object, Name extends IdColumn<Entity>>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  ids: readonly IdIn<Entity, Name>[],
  options: ByIdOptions<Name>,
): Promise<Loaded<Entity>[]>
export async function getByIds<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  ids: readonly unknown[],
  { idColumn }: ByIdOptions = {},
): Promise<Loaded<Entity>[]> {
  if (!Array.isArray(ids)) throw new QueryArgumentError('ids', 'an array', ids)
  const column = idColumn === undefined ? undefined : knownColumn(em, entity, idColumn).name
  const conditionOf = (id: unknown): Record<string, unknown> =>
    column === undefined ? keyCondition(em, entity, id) : valueCondition(column, id)
  const conditions = ids.map((id: unknown) => [id, conditionOf(id)] as const)
  const wanted = new Map(conditions.filter(([id]) => mayBeFound(id)).map(([id, condition]) => [keyOf(id), condition]))
  const places = new Map([...wanted.keys()].map((key, place) => [key, place]))
  const place = (found: any) =>
    places.get(column === undefined ? helper(found).getSerializedPrimaryKey() : keyOf(found[column])) ?? places.size
  const options = column === undefined ? {} : { orderBy: orderBy(em, entity, []) }
  const rows: Loaded<Entity>[] = []
  const list = [...wanted.values()]
  for (let from = 0; from < list.length; from += IDS_A_STATEMENT) {
    rows.push(...(await em.find(entity, anyOf<Entity>(list.slice(from, from + IDS_A_STATEMENT)), options)))
  }
  return rows.toSorted((one, other) => place(one) - place(other))
}

/** Writes a key as MikroORM does. */
function keyOf(id: unknown): string {
  if (id instanceof Date) return String(id.getTime())
  return Array.isArray(id) ? id.map(keyOf).join('~~~') : String(id)
}

function anyOf<Entity>(conditions: Record<string, unknown>[]): FilterQuery<NoInfer<Entity>> {
  const [[name = ''] = [], ...more] = Object.keys(conditions[0] ?? {}).map((key) => [key])
  if (more.length > 0) return { $or: conditions } as FilterQuery<NoInfer<Entity>>
  return { [name]: { $in: conditions.map((condition) => condition[name]) } } as FilterQuery<NoInfer<Entity>>
}
