import { refusesWrite } from './refuses-write.ts'
import type { FallbackReason } from './replicas.ts'
import { SqlassistError } from '../transaction/index.ts'
import { formatPosition, UNKNOWN_POSITION, type WalPosition } from './wal-position.ts'

/** A statement or a flush had failed, so that the rest of its transaction is not committed; `cause` is the first error. */
export class TransactionAbortedError extends SqlassistError {
  static {
    this.prototype.name = 'TransactionAbortedError'
  }
  override readonly code = 'SQLASSIST_TRANSACTION_ABORTED'

  constructor(role: string, cause: unknown) {
    super(
      `A statement or a flush of role "${role}" failed earlier, so nothing of its transaction is committed, though the ` +
        `error was caught. Let the error out, or put what may fail into em.transactional().`,
      { cause },
    )
  }
}

/** What a statement did to its transaction that it ended: nobody may know. */
export type EndedHow = 'committed' | 'rolled back' | 'unknown'

const ENDED: Readonly<Record<EndedHow, string>> = {
  committed: 'What the role had sent before it is committed and stays so, though the request fails.',
  'rolled back': 'What the role had sent before it is rolled back.',
  unknown: 'What the role had sent before it may be committed: look for it before you do it again.',
}

/**
 * A statement ended the transaction around it, which its text did not show. `outcome` says what became of what was sent before.
 * Nothing is sent behind it, and the request fails.
 */
export class EndedByStatementError extends SqlassistError {
  static {
    this.prototype.name = 'EndedByStatementError'
  }
  override readonly code = 'SQLASSIST_ENDED_BY_STATEMENT'
  /** What became of what was sent before it: `'committed'`, `'rolled back'`, or `'unknown'`. */
  readonly outcome: EndedHow

  constructor(role: string, outcome: EndedHow, cause?: unknown) {
    super(
      `A statement of role "${role}" ended its transaction. ${ENDED[outcome]} Leave BEGIN, COMMIT and ROLLBACK to the ` +
        `transaction manager. With standard_conforming_strings off, a backslash in a string hides them: give values as ` +
        `parameters, or set it on.`,
      { cause },
    )
    this.outcome = outcome
  }
}

/**
 * The connection was lost before COMMIT was sent: nothing was committed. `cause` is the last word of the server or the network.
 * One that leads to a server that cannot write any more is given up, as the old primary after a failover: its 25006 is the
 * cause then.
 */
export class ConnectionLostError extends SqlassistError {
  static {
    this.prototype.name = 'ConnectionLostError'
  }
  override readonly code = 'SQLASSIST_CONNECTION_LOST'

  constructor(role: string, cause: unknown) {
    const what = refusesWrite(cause)
      ? `leads to a server that cannot write any more, as after a failover, and was closed`
      : `was lost before COMMIT was sent`
    super(
      `The connection of role "${role}" ${what}; nothing of its transaction was committed, and it can be done again.`,
      { cause },
    )
  }
}

/**
 * A unit of work would have waited for a connection for ever. All are held by units that wait themselves: for it, in whose
 * code it was started, or for each other. It began last, and was refused.
 */
export class ConnectionDeadlockError extends SqlassistError {
  static {
    this.prototype.name = 'ConnectionDeadlockError'
  }
  override readonly code = 'SQLASSIST_CONNECTION_DEADLOCK'

  constructor(role: string, waiting: string, holders: readonly string[], isSingle: boolean) {
    const held = isSingle
      ? `${holders.join(' and ')} holds the only one, and goes on when this has come to its end`
      : `all are held, by ${holders.join(', ')}, which go on when this has come to its end, or wait for each other`
    const cure = isSingle
      ? ''
      : `; or raise the pool's max above the number of units that may wait inside of others at once, or use a role with a ` +
        `pool of its own`
    super(
      `A statement of role "${role}" in ${waiting} would wait for a connection for ever: ${held}. Do its work in the session ` +
        `of the unit around it, where em.transactional() nests, or start it when that has ended, as in an after-commit ` +
        `hook${cure}.`,
    )
  }
}

/** The connection was lost while COMMIT was under way: whether it was carried out is not known. */
export class CommitOutcomeUnknownError extends SqlassistError {
  static {
    this.prototype.name = 'CommitOutcomeUnknownError'
  }
  override readonly code = 'SQLASSIST_COMMIT_OUTCOME_UNKNOWN'

  constructor(role: string, cause: unknown) {
    super(
      `The connection of role "${role}" was lost while COMMIT was under way; the database may or may not have carried ` +
        `it out. Look for what was written before doing it again.`,
      { cause },
    )
  }
}

/** PostgreSQL refuses to prepare the transaction of a role, which a commit over several databases needs. Nothing was committed. */
export class CannotPrepareError extends SqlassistError {
  static {
    this.prototype.name = 'CannotPrepareError'
  }
  override readonly code = 'SQLASSIST_CANNOT_PREPARE'

  constructor(role: string, cause: unknown) {
    super(
      `Several databases were changed, and the transaction of role "${role}" cannot be prepared: ` +
        `${(cause as Error)?.message ?? String(cause)}. Nothing was committed. Do this in a role with ` +
        `commit: 'autonomous' or in a unit of work of its own, or let "${role}" decide: twoPhase: false.`,
      { cause },
    )
  }
}

/** A commit over several databases took so long that recovery gave it up. Nothing was committed; it can be done again. */
export class CommitFencedError extends SqlassistError {
  static {
    this.prototype.name = 'CommitFencedError'
  }
  override readonly code = 'SQLASSIST_COMMIT_FENCED'

  constructor(role: string, cause: unknown) {
    super(
      `The commit was about to be decided in role "${role}", but recovery had given it up meanwhile: it was prepared ` +
        `longer than graceMs ago. Nothing was committed, and it can be done again. Raise recover.graceMs if it happens often.`,
      { cause },
    )
  }
}

/** The table for the decisions about commits over several databases is not there. Nothing was committed. */
export class DecisionTableError extends SqlassistError {
  static {
    this.prototype.name = 'DecisionTableError'
  }
  override readonly code = 'SQLASSIST_DECISION_TABLE'
  /** Whether it was there before: the next commit looks for it anew, and makes it where it may. */
  readonly wasThere: boolean

  constructor(role: string, sql: string, cause: unknown, wasThere = false) {
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    const state = wasThere
      ? `was dropped or moved meanwhile${why}. Nothing was committed. The next commit makes it; where it may not, run there`
      : `is missing and could not be created${why}. Nothing was committed. Run there, as who may create tables`
    super(
      `A commit over several databases would have been decided in role "${role}", where the table for decisions ` +
        `${state}: ${sql}; and let the role's user select, insert and delete in it.`,
      { cause },
    )
    this.wasThere = wasThere
  }
}

/** No replica has got to what a statement has to show, and its role has `otherwise: 'error'`. Nothing was read; it can be done again. */
export class NoReplicaError extends SqlassistError {
  static {
    this.prototype.name = 'NoReplicaError'
  }
  override readonly code = 'SQLASSIST_NO_REPLICA'
  /** For Koa: Service Unavailable. */
  readonly status = 503
  /** For Koa: the message is not for clients. */
  readonly expose = false

  constructor(role: string, reason: FallbackReason, position: WalPosition) {
    const where = position === UNKNOWN_POSITION ? 'a commit whose position is not known' : formatPosition(position)
    super(
      `No replica of role "${role}" can answer (${reason}); the statement has to show ${where}. Raise replicaOf.waitMs or ` +
        `maxLagMs, or let it go to the primary: otherwise: 'primary'.`,
    )
  }
}

/** A replica was lost in the middle of what only it can go on with: a snapshot, or a stream that has handed out rows. */
export class ReplicaLostError extends SqlassistError {
  static {
    this.prototype.name = 'ReplicaLostError'
  }
  override readonly code = 'SQLASSIST_REPLICA_LOST'

  constructor(role: string, replica: string, what: 'snapshot' | 'stream', cause: unknown) {
    super(
      `The replica ${replica} of role "${role}" broke off ${what === 'snapshot' ? 'the snapshot' : 'a stream'} of a unit of ` +
        `work. Nothing else can go on with it. Run the unit again, as attempts does.`,
      { cause },
    )
  }
}
