import { raw, type EntityName, type EntityProperty } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { QueryArgumentError } from './errors.ts'
import { isText } from './known-column.ts'

export const DIRECTIONS = ['asc', 'desc'] as const
export type Direction = (typeof DIRECTIONS)[number]

interface Order {
  [column: string | symbol]: Direction
}

/** The escape character of LIKE: valid in both databases, and no setting of theirs changes its meaning. */
const ESCAPE = '!'

/** Writes SQL, here and nowhere else in model/: names are of declared columns, quoted by MikroORM, and values are bound. */
function fragment(term: (column: string) => string, column: EntityProperty, ...values: string[]) {
  return raw((alias) => term(`${alias}.??`), [column.fieldNames[0], ...values])
}

/** Compares the text of the column with the value, both folded to lower case by the database. */
export function lowerCondition(em: SqlEntityManager, column: EntityProperty, comparison: '=' | 'like', value: string) {
  const text = (name: string) => (isText(em, column) ? name : `cast(${name} as text)`)
  const escape = comparison === 'like' ? ` escape '${ESCAPE}'` : ''
  return { [fragment((name) => `lower(${text(name)}) ${comparison} lower(?)${escape}`, column, value)]: [] }
}

/** Escapes `value` into a pattern of LIKE that matches the value only. */
export function literalPattern(value: string): string {
  return value.replaceAll(/[!%_]/g, `${ESCAPE}$&`)
}

/** Orders by these columns and then the primary key, so that pages neither repeat a row nor leave one out. */
export function orderBy<Entity extends object>(
  em: SqlEntityManager,
  entity: EntityName<Entity>,
  columns: readonly EntityProperty[],
  { direction = 'asc', caseSensitive = true }: { direction?: Direction; caseSensitive?: boolean } = {},
): Order[] {
  if (!DIRECTIONS.includes(direction)) throw new QueryArgumentError('direction', `'asc' or 'desc'`, direction)
  const keys = em.getMetadata().get(entity).getPrimaryProps() as unknown as EntityProperty[]
  const order = columns.map((column) => {
    const folded = !caseSensitive && isText(em, column)
    return { [folded ? fragment((name) => `lower(${name})`, column) : column.name]: direction }
  })
  const rest = keys.filter((key) => !columns.includes(key) || (!caseSensitive && isText(em, key)))
  return [...order, ...rest.map((key) => ({ [key.name]: direction }))]
}
