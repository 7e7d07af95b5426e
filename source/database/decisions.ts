import type { DatabaseNames } from './database-names.ts'
import type { DecisionTableError } from './errors.ts'

/** The table in which a commit point keeps what was decided about transactions prepared elsewhere. */
export const DECISION_TABLE = 'sqlassist_decision'

/**
 * What creates the decision table, for a migration. An application needs it where its own user may not create tables,
 * and for MikroORM's migrations to know of the table. The library creates the table where it may.
 */
export const DECISION_TABLE_SQL = {
  postgresql:
    `create table if not exists ${DECISION_TABLE} (` +
    `id text primary key, decision text not null, participants text, at timestamptz not null default clock_timestamp())`,
  sqlite:
    `create table if not exists ${DECISION_TABLE} (` +
    `id text primary key, decision text not null, participants text, ` +
    `at text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')))`,
} as const

/** How many rows one look at the table brings. */
export const ROWS_A_LOOK = 10_000

export type Decision = 'commit' | 'abort'

/** One commit over several databases, as its commit point writes it down. */
export interface DecisionRow {
  readonly id: string
  /** Where it was prepared, as `participantsOf` reads it; null where that was not written down. */
  readonly participants: string | null
}

/** What one look at a database's decisions shows. */
export interface DecisionSurvey extends DatabaseNames {
  /** Old enough commits whose row is still there. */
  readonly committed: readonly DecisionRow[]
}

/** Not the database that decides about `id`. */
export function notNamed(id: string): Error {
  return new Error(`it is not the database that decides about ${id}, or its table ${DECISION_TABLE} was emptied`)
}

/** A decision table that is there. */
export interface DecisionTable {
  /** The name of the database, which no copy of it has. */
  readonly database: string
  /** What writes the decision to commit into the commit point's own transaction, durably once that commits. */
  commitSql(row: { readonly id: string; readonly participants: string }): string
}

/**
 * The decisions of one database. The commit point's own transaction writes a row `commit`. A row `abort` is written by
 * one who finds none and needs to know. The key lets only one of the two exist.
 */
export interface Decisions {
  /**
   * Makes sure of the table, in a transaction of its own, once.
   * @throws DecisionTableError with the SQL to run where it cannot be created
   */
  ready(): Promise<DecisionTable>
  /** The table may be gone, or the database be another one: looks again next time. */
  lookAgain(): void
  /** Whether `error` says that `id` was given up by somebody else before it could be committed. */
  isFence(error: unknown): boolean
  /**
   * What to throw where `error`, of writing a decision, says that the table is not there any more. The next commit
   * looks for the table anew.
   */
  gone(error: unknown): DecisionTableError | undefined
  /**
   * What was decided about `id` by the database named `database`; where nothing was, decides to abort, for ever. Waits for a
   * decision under way. The row of a commit goes when all is finished: `isFinished` is asked, while nobody else can decide,
   * whether that is why there is none.
   * @throws the driver's error when it cannot be known now, and an error where this is not that database
   */
  fence(id: string, database: string, isFinished?: () => Promise<boolean>): Promise<Decision>
  /** What was decided about `id`, as far as this database knows. Decides nothing. */
  find(id: string): Promise<Decision | undefined>
  survey(olderThanMs: number): Promise<DecisionSurvey>
  /** Takes away commits that nothing refers to any more, and aborts that nobody can run into. */
  remove(ids: readonly string[]): Promise<void>
}
