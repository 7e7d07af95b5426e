import {
  statementChannel,
  transactionEndChannel,
  type SessionMessage,
  type StatementMessage,
  type TransactionEndMessage,
} from './session-channels.ts'
import type { StatementResult } from '../database/database.ts'
import type { ServedBy } from '../database/replicas.ts'

/** What a message says of a session: a getter, since it is only made when somebody listens. */
export interface Traceable {
  readonly facts: SessionMessage
}

export interface Query {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/** What a message says of a statement beyond itself and its session. */
export interface StatementDetails extends Pick<StatementMessage, 'inTransaction' | 'begins' | 'backend'> {
  /** Undefined in a role without replicas. */
  readonly servedBy?: ServedBy | undefined
}

/** Sends a statement by `send`, and publishes how it went. */
export function traceStatement<Result>(
  session: Traceable,
  query: Query,
  details: () => StatementDetails,
  send: () => Promise<Result>,
  rowsOf: (result: Result) => number,
): Promise<Result> {
  if (!statementChannel.hasSubscribers) return send()
  const message = statementMessage(session, query, details())
  return statementChannel.tracePromise(async () => {
    try {
      const result = await send()
      message.rows = rowsOf(result)
      return result
    } finally {
      // A statement outside of a transaction has taken its connection meanwhile.
      const { backend, servedBy } = details()
      message.backend ??= backend
      Object.assign(message, servedBy)
    }
  }, message)
}

/** Passes on the chunks of a statement's rows, and publishes how the statement went. */
export async function* traceStream<Chunk>(
  session: Traceable,
  query: Query,
  details: () => StatementDetails,
  chunks: AsyncIterable<Chunk>,
  sizeOf: (chunk: Chunk) => number,
): AsyncGenerator<Chunk, void> {
  if (!statementChannel.hasSubscribers) return yield* chunks
  const message: StatementMessage & { error?: unknown } = statementMessage(session, query, details())
  message.rows = 0
  statementChannel.start.publish(message)
  try {
    for await (const chunk of chunks) {
      message.rows += sizeOf(chunk)
      yield chunk
    }
  } catch (error) {
    message.error = error
    statementChannel.error.publish(message)
    throw error
  } finally {
    const { backend, servedBy } = details()
    message.backend ??= backend
    Object.assign(message, servedBy)
    statementChannel.asyncEnd.publish(message)
  }
}

/** Ends a database transaction by `work`, and publishes how it went. */
export function traceEnd<T>(
  session: Traceable,
  details: Pick<TransactionEndMessage, 'how' | 'gid' | 'decides' | 'backend'>,
  work: () => Promise<T>,
): Promise<T> {
  if (!transactionEndChannel.hasSubscribers) return work()
  return transactionEndChannel.tracePromise(work, { ...session.facts, ...details })
}

function statementMessage({ facts }: Traceable, query: Query, details: StatementDetails): StatementMessage {
  const { inTransaction, begins, backend, servedBy } = details
  const { sql, parameters } = query
  return { ...facts, inTransaction, begins, backend, ...servedBy, sql, parameters, rows: undefined }
}

/** How many rows a statement gave or changed. */
export function rowsOfResult({ numAffectedRows, rows }: Pick<StatementResult, 'numAffectedRows' | 'rows'>): number {
  return numAffectedRows === undefined ? rows.length : Number(numAffectedRows)
}
