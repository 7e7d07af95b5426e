import type { AbortableOperationOptions, CompiledQuery } from 'kysely'
import type { StatementResult } from '../database/database.ts'
import type { Scope } from './scopes.ts'
import type { StatementOrigin } from './write-state.ts'

/** A statement of a session, before it is sent. */
export interface Statement {
  readonly query: CompiledQuery
  readonly origin: StatementOrigin
  /** The nested transaction that it was written in, if any. */
  readonly scope: Scope | undefined
  readonly options: AbortableOperationOptions | undefined
}

/** Runs the statements of a session: in its database transaction, or each of them in autocommit. */
export interface Executor {
  /** @throws ReadOnlySessionError, ManagedSessionError, SessionEndedError before anything is sent; else the driver's error */
  execute(statement: Statement): Promise<StatementResult>
  /** Rows in chunks of `chunkSize`. */
  stream(statement: Statement, chunkSize: number): AsyncIterable<unknown[]>
  /** Makes the rows of a stream end with the session. */
  track<Row>(rows: AsyncIterable<Row>): AsyncIterableIterator<Row>
  /** Has the database give up what runs. */
  cancelStatement(): void
  /** Does `work` with one whose statements can be cancelled without those of others. Missing in a transaction. */
  apart?<T>(work: (own: Executor) => Promise<T>): Promise<T>
}
