import type { AbortReason, UnitEndMessage } from '../engine/channels.ts'
import type { RoleStatus } from '../engine/db-sessions-container.ts'
import type { TransactionEndMessage } from '../session/channels.ts'
import type { SessionState } from '../session/session-state.ts'

/** An error as it is kept: text of bounded length, and nothing that it refers to. */
export interface RecordedError {
  readonly name: string
  readonly message: string
  readonly code: string | undefined
  /** The lines of its stack, without the message. */
  readonly frames: readonly string[]
  readonly cause: RecordedError | undefined
}

/** A time is in milliseconds since the request or run began; how long something took is undefined while it is under way. */
export interface RecordedSpan {
  readonly atMs: number
  tookMs: number | undefined
  error: RecordedError | undefined
}

/** A statement. */
export interface RecordedStatement extends RecordedSpan {
  readonly role: string
  /** Its text, cut to a length; literals are `?` where parameters are hidden. */
  readonly sql: string
  /** How many characters were cut off. */
  readonly cutCharacters: number
  /** What it is but for the values in it: two statements of one shape differ in nothing else. */
  readonly shape: string
  readonly parameters: readonly string[]
  /** How many rows it gave or changed. */
  rows: number | undefined
  /** Whether it ran in the session's database transaction. Otherwise it committed by itself. */
  readonly inTransaction: boolean
  /** Whether its session refuses to write. */
  readonly readOnly: boolean
  /** Whether BEGIN was sent with it. */
  readonly begins: boolean
  /** The number of PostgreSQL's backend. */
  backend: number | undefined
}

/** The end of a database transaction. */
export interface RecordedEnd extends RecordedSpan {
  readonly role: string
  readonly how: TransactionEndMessage['how']
  /** The id of a prepared transaction. */
  readonly gid: string | undefined
  /** Whether it also wrote the decision of a commit over several databases. */
  readonly decides: boolean
  backend: number | undefined
}

export const STEPS = ['begin', 'join', 'savepoint', 'rollback', 'call', 'commit', 'abort', 'open', 'close'] as const

/** One step in the life of a transaction or session. */
export interface RecordedStep extends RecordedSpan {
  readonly step: (typeof STEPS)[number]
  /** Which transaction of its attempt, counted from 1; undefined for a session. */
  readonly transaction: number | undefined
  /** Who joined or was called, or which session or savepoint it is. */
  readonly subject: string
  /** The method of a call; why a session was closed. */
  readonly detail: string
}

/** A transaction of the request's manager. */
export interface RecordedTransaction {
  description: string
  user: string
  /** Zope's word for where it stands. */
  status: string
}

/** One role in one attempt. */
export interface RecordedRole {
  readonly role: string
  status: RoleStatus
  /** Of its session when it was last heard of; undefined where none was opened. */
  state: SessionState | undefined
  /** The numbers of the PostgreSQL backends it used. */
  readonly backends: number[]
  statements: number
}

/** One try at a request or run. */
export interface RecordedAttempt extends RecordedSpan {
  /** Counted from 1. */
  readonly attempt: number
  /** Undefined while it is under way. */
  outcome: UnitEndMessage['outcome'] | undefined
  reason: AbortReason | undefined
  /** Whether it was tried again. */
  retries: boolean
  readonly transactions: RecordedTransaction[]
  readonly roles: RecordedRole[]
  readonly statements: RecordedStatement[]
  readonly ends: RecordedEnd[]
  readonly steps: RecordedStep[]
  /** What came after the limit and was only counted. */
  readonly dropped: { statements: number; steps: number }
}

/** A request, or a run of `registry.run`. */
export interface RecordedRequest {
  readonly id: string
  readonly kind: 'request' | 'run'
  /** When it began, in milliseconds since 1970. */
  readonly startedAt: number
  /** Of a request. */
  readonly method: string | undefined
  readonly url: string | undefined
  /** Where the container stands on ctx. */
  property: string | undefined
  /** Of the response; undefined before it was sent. */
  status: number | undefined
  /** Whether the client went away before it had the response. */
  clientLeft: boolean
  /** Undefined while it is under way. */
  tookMs: number | undefined
  readonly attempts: RecordedAttempt[]
  /** How many attempts were dropped, the oldest first. */
  droppedAttempts: number
}
