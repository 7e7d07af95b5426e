import { randomBytes } from 'node:crypto'

/**
 * The row that names the database itself, by a random text. A further row, `database <identity>`, is added where the
 * table is met in another place or after a restart. That may be a copy, and a copy has the rows of the original.
 */
export const DATABASE_ROW = 'database'
/** Finds the rows that name the database. */
export const IS_DATABASE_ROW = `id like '${DATABASE_ROW}%'`

/** A name that the library gave to a database, and where that was; null where somebody else wrote the row. */
export interface NameRow {
  readonly name: string
  readonly whereabouts: string | null
}

/** What a database is called. */
export interface DatabaseNames {
  /** Which database of a server since its start, or which file, this is: no copy is the same. */
  readonly identity: string
  /** The name it was given as that, which no copy has; undefined where it was given none. */
  readonly name: string | undefined
  /**
   * Names it had before, as the same database started again or its standby. A copy has them only by a strange chance.
   */
  readonly inherited: readonly string[]
  /** All names in its table, as they are in every copy. */
  readonly names: readonly string[]
}

/** Where a database is now, and what else was the same one. */
export interface Whereabouts {
  readonly identity: string
  /** As it is written down. */
  readonly text: string
  /** Whether what was there is the same database, started again or moved to its standby. */
  continues(text: string): boolean
}

export function databaseNames(now: Whereabouts, rows: readonly NameRow[]): DatabaseNames {
  const inherited = rows.filter(({ whereabouts }) => whereabouts !== null && now.continues(whereabouts))
  return {
    identity: now.identity,
    name: rows.find(({ whereabouts }) => whereabouts?.split(' ', 1)[0] === now.identity)?.name,
    inherited: inherited.map(({ name }) => name),
    names: rows.map(({ name }) => name),
  }
}

/** The key of the row that gives the database a name. */
export function nameRowId({ identity, names }: DatabaseNames): string {
  return names.length === 0 ? DATABASE_ROW : `${DATABASE_ROW} ${identity}`
}

/** 12 characters: 72 bits of chance. */
export function newDatabaseName(): string {
  return randomBytes(9).toString('base64url')
}
