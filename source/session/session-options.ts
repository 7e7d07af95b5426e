import type { BeginOptions } from '../database/begin-options.ts'
import type { RawWrites } from './raw-writes.ts'
import type { SessionState } from './session-state.ts'

/** What all sessions of a role have in common. */
export interface SessionSettings {
  readonly role: string
  readonly initialState: SessionState
  /**
   * `statement`: each statement without a transaction. `transaction`: one database transaction, begun by the first
   * statement.
   */
  readonly scope: 'statement' | 'transaction'
  readonly begin: BeginOptions
  readonly rawWrites: RawWrites
  readonly keepSession: boolean
  /** Takes over a promise that nobody waits for. */
  readonly background: (work: Promise<void>) => void
}

/** Options of one session, given when it is opened. */
export interface SessionOptions {
  /** What it belongs to: the Koa ctx in a request. */
  readonly owner: unknown
  /** The container of its request or run. */
  readonly dbSession: object | undefined
  /** Whether a transaction manager commits it; otherwise `em.commit()` and `em.rollback()` are the program's own. */
  readonly coordinated: boolean
  /** Called before the database transaction begins; throws to refuse it. */
  readonly beforeBegin?: (() => void) | undefined
  /** Called when something of it was committed. */
  readonly committed?: ((role: string) => void) | undefined
}
