import { SqlassistError } from '../transaction/index.ts'

/** Something was handed over that is no entity, or none that a row could be found for. */
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

/** An argument of a utility query is not what it has to be; the message says which and what it has to be. Nothing was sent. */
export class QueryArgumentError extends SqlassistError {
  static {
    this.prototype.name = 'QueryArgumentError'
  }
  override readonly code = 'SQLASSIST_QUERY_ARGUMENT'

  constructor(argument: string, expected: string, given: unknown) {
    super(`The argument ${argument} has to be ${expected}, and it is ${quoted(given)}.`)
  }
}

/** What was given, short and on one line; it may come from a client. */
function quoted(given: unknown): string {
  if (typeof given !== 'string') return given === null || typeof given !== 'object' ? String(given) : 'an object'
  return JSON.stringify(given.length > 60 ? `${given.slice(0, 60)}…` : given)
}
