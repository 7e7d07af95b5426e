/** What the ids of prepared transactions of this library begin with. */
export const GLOBAL_ID_PREFIX = 'sqlassist:'

/** What is to become of a prepared transaction. */
export type Finish = 'commit' | 'rollback'

/** A prepared transaction that waits for its end. */
export interface PreparedRow {
  readonly gid: string
  readonly ageMs: number
}

/** What a database can prepare, and what is prepared there. */
export interface PreparedSurvey {
  /** Which database of which server since its start it is, under any host name. */
  readonly identity: string
  /** The setting max_prepared_transactions. */
  readonly maxPrepared: number
  readonly rows: readonly PreparedRow[]
}

/** The prepared transactions of a database, over a connection of their own. Each method throws the driver's error. */
export interface PreparedTransactions {
  /** Finds the prepared transactions of this database whose id begins with `prefix`. */
  survey(prefix: string): Promise<PreparedSurvey>
  /** Whether it waits for its end. */
  has(gid: string): Promise<boolean>
  /** Whether it was there to be finished: another process may have done it meanwhile. */
  finish(gid: string, how: Finish): Promise<boolean>
}

const NO_SUCH_TRANSACTION = '42704'

/** Ids are never used again, so what is not there was finished by somebody else. */
export function isFinishedAlready(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === NO_SUCH_TRANSACTION
}
