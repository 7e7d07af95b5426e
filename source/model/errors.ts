import { SqlassistError } from '../transaction/index.ts'

/** A value was given that is no entity, or an entity for which no row can be found. */
export class NotAnEntityError extends SqlassistError {
  static {
    this.prototype.name = 'NotAnEntityError'
  }
  override readonly code = 'SQLASSIST_NOT_AN_ENTITY'
}

/** A column was asked for that the entity does not have; the message lists those it has. Nothing was sent. */
export class UnknownColumnError extends SqlassistError {
  static {
    this.prototype.name = 'UnknownColumnError'
  }
  override readonly code = 'SQLASSIST_UNKNOWN_COLUMN'

  constructor(entity: string, column: unknown, columns: readonly string[]) {
    super(`The entity ${entity} has no column ${quoted(column)}. Its columns are ${columns.join(', ')}.`)
  }
}

/** One row was asked for and the database has more that fit. */
export class MoreThanOneError extends SqlassistError {
  static {
    this.prototype.name = 'MoreThanOneError'
  }
  override readonly code = 'SQLASSIST_MORE_THAN_ONE'

  constructor(entity: string, column: string) {
    super(
      `More than one ${entity} fits the value asked for in ${column}, whatever the case of its letters. ` +
        `Ask for all of them with { many: true }, or give the table a unique index on lower(${column}).`,
    )
  }
}

/** An argument of a utility query is not valid; the message names the argument and its valid values. Nothing was sent. */
export class QueryArgumentError extends SqlassistError {
  static {
    this.prototype.name = 'QueryArgumentError'
  }
  override readonly code = 'SQLASSIST_QUERY_ARGUMENT'

  constructor(argument: string, expected: string, given: unknown) {
    super(`The argument ${argument} has to be ${expected}, and it is ${quoted(given)}.`)
  }
}

/** Shows a value, which may come from a client, shortened and on one line. */
function quoted(given: unknown): string {
  if (typeof given !== 'string') return given === null || typeof given !== 'object' ? String(given) : 'an object'
  return JSON.stringify(given.length > 60 ? `${given.slice(0, 60)}…` : given)
}
