import { helper, type EntityName, type FilterQuery, type Loaded, type Primary } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { QueryArgumentError } from './errors.ts'
import { keyCondition, mayBeFound } from './query-values.ts'

/** Fewer than the parameters of one statement in either database. */
const IDS_A_STATEMENT = 5_000

/**
 * Finds the entity of that primary key, or null. A key of several columns is an array of values.
 *
 * The session manages the entity. One that the session has already is returned without a statement.
 *
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) for null and undefined, an object or, where the key is one column, an array
 */
export async function getById<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  id: Primary<Entity>,
): Promise<Loaded<Entity> | null> {
  const where = keyCondition(em, entity, id) as FilterQuery<NoInfer<Entity>>
  return mayBeFound(id) ? await em.findOne(entity, where) : null
}

/**
 * Finds the entities of these primary keys in the order of the keys, each once; missing ones are left out.
 *
 * The session manages the entities. One statement is sent for every 5000 keys, none for an empty array.
 *
 * @throws QueryArgumentError (`SQLASSIST_QUERY_ARGUMENT`) as `getById` does, and for keys that are no array
 */
export async function getByIds<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  ids: readonly Primary<Entity>[],
): Promise<Loaded<Entity>[]> {
  if (!Array.isArray(ids)) throw new QueryArgumentError('ids', 'an array', ids)
  const conditions = ids.map((id) => [id, keyCondition(em, entity, id)] as const)
  const wanted = new Map(conditions.filter(([id]) => mayBeFound(id)).map(([id, condition]) => [keyOf(id), condition]))
  const places = new Map([...wanted.keys()].map((key, place) => [key, place]))
  const place = (found: object) => places.get(helper(found).getSerializedPrimaryKey()) ?? places.size
  const rows: Loaded<Entity>[] = []
  const list = [...wanted.values()]
  for (let from = 0; from < list.length; from += IDS_A_STATEMENT) {
    rows.push(...(await em.find(entity, anyOf<Entity>(list.slice(from, from + IDS_A_STATEMENT)))))
  }
  return rows.toSorted((one, other) => place(one) - place(other))
}

/** Writes a key as MikroORM does. */
function keyOf(id: unknown): string {
  return Array.isArray(id) ? id.map(keyOf).join('~~~') : String(id)
}

function anyOf<Entity>(conditions: Record<string, unknown>[]): FilterQuery<NoInfer<Entity>> {
  const [[name = ''] = [], ...more] = Object.keys(conditions[0] ?? {}).map((key) => [key])
  if (more.length > 0) return { $or: conditions } as FilterQuery<NoInfer<Entity>>
  return { [name]: { $in: conditions.map((condition) => condition[name]) } } as FilterQuery<NoInfer<Entity>>
}
