import type { BeginOptions } from '../database/begin-options.ts'
import type { ConnectionUser } from '../database/connection-waits.ts'
import type { Database, ReadingUnit } from '../database/database.ts'
import type { OwnPositions } from '../database/replicas.ts'
import type { Relations } from '../database/relations.ts'
import type { WalPosition } from '../database/wal-position.ts'
import type { RawWrites } from './raw-writes.ts'
import type { SessionState } from './session-state.ts'

/** What all sessions of a role have in common. */
export interface SessionSettings {
  readonly role: string
  readonly dialect: Database['dialect']
  readonly initialState: SessionState
  /**
   * `statement`: each statement without a transaction. `transaction`: one database transaction, begun by the first
   * statement.
   */
  readonly scope: 'statement' | 'transaction'
  readonly begin: BeginOptions
  readonly rawWrites: RawWrites
  /** What MikroORM knows of the relations of the database. */
  readonly relations: () => Relations
  readonly keepSession: boolean
  /** Takes over a promise that nobody waits for. */
  readonly background: (work: Promise<void>) => void
  /** Makes the error for what would begin when the ORM is closed, which MikroORM would open again. Undefined until then. */
  closed?: (() => Error) | undefined
}

/** The request or run of a session. Emptied when it is over: an entity that the program keeps leads here. */
export interface SessionUnit extends ReadingUnit {
  /** What it belongs to: the Koa ctx in a request. */
  owner?: unknown
  user?: ConnectionUser | undefined
  positions?: OwnPositions | undefined
  /** The container of it. */
  dbSession?: object | undefined
  /** Called with a role whose database transaction is about to begin; throws to refuse it. */
  beforeBegin?: ((role: string) => void) | undefined
  /** Called with a role that has committed something, and where that is, if the server has said so. */
  committed?: ((role: string, position: WalPosition | undefined) => void) | undefined
}

/** Options of one session, given when it is opened. */
export interface SessionOptions {
  readonly unit: SessionUnit
  /** Whether a transaction manager commits it; otherwise `em.commit()` and `em.rollback()` are the program's own. */
  readonly coordinated: boolean
}
