import type { FallbackReason, PositionOrigin } from '../session/served-by.ts'
import type { AbortReason } from '../unit/unit-channels.ts'
import type { UnitEndMessage } from '../registry/registry-messages.ts'
import type { RoleStatus } from '../unit/db-sessions-container.ts'
import type { TransactionEndMessage } from '../session/session-channels.ts'
import type { SessionState } from '../session/session-state.ts'

/** A recorded error: text of bounded length, without references to other objects. */
export interface RecordedError {
  /** Its name; for a thrown value that is no error, its type. */
  readonly name: string
  /** Its message, left out where parameters are hidden. */
  readonly message: string
  /** Its code, such as an SQLSTATE. */
  readonly code: string | undefined
  /** The lines of its stack, without the message. */
  readonly frames: readonly string[]
  /** Its cause. */
  readonly cause: RecordedError | undefined
}

/** A span of time, in milliseconds. */
export interface RecordedSpan {
  /** When it began, counted from the beginning of the request or run. */
  readonly atMs: number
  /** How long it took; undefined while it is under way. */
  tookMs: number | undefined
  /** The error it ended with, if it failed. */
  error: RecordedError | undefined
}

/** A statement. */
export interface RecordedStatement extends RecordedSpan {
  /** The role whose session sent it. */
  readonly role: string
  /** Its text, cut to a length; literals are `?` where parameters are hidden. */
  readonly sql: string
  /** How many characters were cut off. */
  readonly cutCharacters: number
  /** The text without values: statements of one shape differ in their values only. */
  readonly shape: string
  /** Its parameters as text, where they do not stand in the statement; `?` where they are hidden. */
  readonly parameters: readonly string[]
  /** How many rows it returned or changed. */
  rows: number | undefined
  /** Whether it ran in the session's database transaction. Otherwise the database committed it at once. */
  readonly inTransaction: boolean
  /** Whether its session refuses to write. */
  readonly readOnly: boolean
  /** Whether BEGIN was sent with it. */
  readonly begins: boolean
  /** The number of PostgreSQL's backend. */
  backend: number | undefined
  /** Which server answered it, in a role with replicas. */
  servedBy: RecordedServer | undefined
}

/** The server that answered a statement, and why that one. */
export interface RecordedServer {
  /** `'primary'`, or host and port of a replica. */
  readonly server: string
  /** How long the statement waited for a replica. */
  readonly waitedMs: number
  /** The position that it had to show, as PostgreSQL writes it; undefined where everything is at the primary. */
  readonly needed: string | undefined
  /** Where that comes from: what was committed, how old a state may be, or what was shown before. */
  readonly because: PositionOrigin | undefined
  /** Why it went to the primary, where a replica was to answer it. */
  readonly fallback: FallbackReason | undefined
}

/** The end of a database transaction. */
export interface RecordedEnd extends RecordedSpan {
  /** The role whose session it was. */
  readonly role: string
  /** The statement that ended it. */
  readonly how: TransactionEndMessage['how']
  /** The id of a prepared transaction. */
  readonly gid: string | undefined
  /** Whether it also wrote the decision of a commit over several databases. */
  readonly decides: boolean
  /** The number of PostgreSQL's backend. */
  backend: number | undefined
}

/** One step in the life of a transaction or session. A call counts as long as no other step came. */
export interface RecordedStep extends RecordedSpan {
  /** The kind: `open` and `close` are of a session, `rollback` is of a savepoint, `call` of a participant or hook. */
  readonly step: 'begin' | 'join' | 'savepoint' | 'rollback' | 'call' | 'commit' | 'abort' | 'open' | 'close'
  /** Which transaction of its attempt, counted from 1; undefined for a session. */
  readonly transaction: number | undefined
  /** Who joined or was called, or which session or savepoint it is. */
  readonly subject: string
  /** The method of a call; why a session was closed. */
  readonly detail: string
}

/** A transaction of the request's manager. */
export interface RecordedTransaction {
  /** Its description, by default method and path. */
  description: string
  /** Its user; `''` where none was set. */
  user: string
  /** Zope's word for where it stands. */
  status: string
}

/** One role in one attempt. */
export interface RecordedRole {
  /** Its name. */
  readonly role: string
  /** Whether its session was never opened, is open, or is over. */
  status: RoleStatus
  /** State of its session when last reported; undefined where none was opened. */
  state: SessionState | undefined
  /** The numbers of the PostgreSQL backends it used, 20 at most. */
  readonly backends: number[]
  /** How many statements it was sent, including those not kept. */
  statements: number
}

/** An entity that a flush wrote. */
export interface RecordedChange {
  /** The role whose session flushed. */
  readonly role: string
  /** When, counted from the beginning of the request or run. */
  readonly atMs: number
  /** What became of its row. */
  readonly kind: 'create' | 'update' | 'delete'
  /** The name of its class. */
  readonly entity: string
  /** Its primary key; undefined where the database made it, `?` where parameters are hidden. */
  readonly id: string | undefined
  /** The properties that were written, 50 at most. */
  readonly properties: readonly string[]
  /** Those that became NULL. */
  readonly emptied: readonly string[]
}

/** One try at a request or run. */
export interface RecordedAttempt extends RecordedSpan {
  /** Counted from 1. */
  readonly attempt: number
  /** Undefined while it is under way. */
  outcome: UnitEndMessage['outcome'] | undefined
  /** Why it was aborted, if it was. */
  reason: AbortReason | undefined
  /** Whether it was tried again. */
  retries: boolean
  /** Its transactions: one, unless the handler began others. */
  readonly transactions: RecordedTransaction[]
  /** Every role of the registry. */
  readonly roles: RecordedRole[]
  /** The statements, in the order they began. */
  readonly statements: RecordedStatement[]
  /** How the database transactions ended. */
  readonly ends: RecordedEnd[]
  /** What the transactions and sessions did. */
  readonly steps: RecordedStep[]
  /** The entities that flushes wrote, 200 at most, and how many more; undefined where there was no such flush. */
  changes?: { readonly entries: RecordedChange[]; dropped: number } | undefined
  /** How many entries were over the limit, which all attempts share, and are only counted. */
  readonly dropped: { statements: number; steps: number }
}

/** A request, or a run of `registry.run`. */
export interface RecordedRequest {
  /** Its id, unique among all processes. */
  readonly id: string
  /** Which of the two it is. */
  readonly kind: 'request' | 'run'
  /** When it began, in milliseconds since 1970. */
  readonly startedAt: number
  /** Of a request. */
  readonly method: string | undefined
  /** Path and query of a request, without the query where parameters are hidden. */
  readonly url: string | undefined
  /** Where the container stands on ctx. */
  property: string | undefined
  /** Of the response; undefined before it was sent. */
  status: number | undefined
  /** Whether the client went away before it had the response. */
  clientLeft: boolean
  /** Undefined while it is under way. */
  tookMs: number | undefined
  /** The tries, the last 20 of them. */
  readonly attempts: RecordedAttempt[]
  /** How many attempts were dropped, the oldest first. */
  droppedAttempts: number
}
