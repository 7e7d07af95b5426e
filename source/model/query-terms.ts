import { raw, type EntityName, type EntityProperty } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { QueryArgumentError } from './errors.ts'
import { isText } from './known-column.ts'

export const DIRECTIONS = ['asc', 'desc'] as const
export type Direction = (typeof DIRECTIONS)[number]

interface Order {
  [column: string | symbol]: Direction
}

/** One that both databases take as the escape character, and no setting of theirs changes the meaning of. */
const ESCAPE = '!'

/** The one place where SQL is written: the names are those of declared columns, quoted by MikroORM, and the values are bound. */
function fragment(term: (column: string) => string, column: EntityProperty, ...values: string[]) {
  return raw((alias) => term(`${alias}.??`), [column.fieldNames[0], ...values])
}

/** A condition that the text of the column, in lower case, compares with that of the value; the database folds both alike. */
export function lowerCondition(em: SqlEntityManager, column: EntityProperty, comparison: '=' | 'like', value: string) {
  const text = (name: string) => (isText(em, column) ? name : `cast(${name} as text)`)
  const escape = comparison === 'like' ? ` escape '${ESCAPE}'` : ''
  return { [fragment((name) => `lower(${text(name)}) ${comparison} lower(?)${escape}`, column, value)]: [] }
}

/** `value` as a pattern of LIKE that nothing but the value itself fits. */
export function literalPattern(value: string): string {
  return value.replaceAll(/[!%_]/g, `${ESCAPE}$&`)
}

/** By these columns, and by primary key where they are equal, so that pages neither repeat a row nor leave one out. */
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
