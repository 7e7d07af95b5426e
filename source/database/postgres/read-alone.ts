import type { QueryResult } from 'pg'
import type { CarriedOut } from './carried-out.ts'
import { BEFORE_ROLLBACK } from './cleaning.ts'
import { moveBack } from './error-position.ts'
import type { PooledClient } from './pooled-client.ts'
import { hasSqlState } from './server-errors.ts'

type Results = QueryResult | QueryResult[]

/** The transaction around a statement that reads. */
export interface ReadingTransaction {
  /** What is in front of the statement; the last of them begins the transaction. */
  readonly start: readonly string[]
  readonly end: string
}

const SYNTAX_ERROR = '42601'

/**
 * The server refuses writes in it. ROLLBACK also undoes what a function has set for the connection. A serializable one
 * is committed: its reads are not validated otherwise.
 */
export function readingTransaction(isolationLevel: string | undefined): ReadingTransaction {
  const isolation = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
  return { start: [`begin${isolation} read only`], end: isolationLevel === 'serializable' ? 'commit' : 'rollback' }
}

/**
 * Sends one statement in a transaction of its own, in one round trip. A SET for the connection would reach other people's
 * transactions behind a pooler. `carried` gets what was carried out, also of what is in front, and before an error.
 * @throws as {@link PooledClient.query}, also where it is more than one statement
 */
export async function readAlone(
  held: PooledClient,
  transaction: ReadingTransaction,
  sql: string,
  parameters: readonly unknown[],
  carried?: CarriedOut,
): Promise<Results> {
  // Without a semicolon it is one statement, and cannot end the transaction in front of another.
  const isPlain = parameters.length === 0 && !sql.includes(';')
  return isPlain
    ? await readPlainly(held, transaction, sql, carried)
    : await readByMessages(held, transaction, sql, parameters, carried)
}

/** In one string, which costs the least. */
async function readPlainly(
  held: PooledClient,
  transaction: ReadingTransaction,
  sql: string,
  carried: CarriedOut | undefined,
): Promise<Results> {
  const inFront = `${transaction.start.join(';')};`
  const cleans = held.left.isPossible && transaction.end === 'rollback'
  const behind = `${cleans ? BEFORE_ROLLBACK : ''}${transaction.end}`
  try {
    // On a line of its own: the statement may end in a comment.
    const results = await held.query(`${inFront}${sql}\n;${behind}`, undefined, carried)
    if (!cleans) return ownResult(results, transaction)
    await held.wasCleaned(results, -2)
    return ownResult((results as QueryResult[]).toSpliced(-3, 2), transaction)
  } catch (error) {
    // Nothing ran, and the error is that of the whole string.
    if (isSyntaxError(error) && held.status === 'I') return await readByMessages(held, transaction, sql, [], carried)
    await rollBack(held)
    moveBack(error, inFront.length)
    throw error
  }
}

/** Each statement in messages of its own: the server takes only one there. */
async function readByMessages(
  held: PooledClient,
  transaction: ReadingTransaction,
  sql: string,
  parameters: readonly unknown[],
  carried: CarriedOut | undefined,
): Promise<Results> {
  const { start, end } = transaction
  try {
    return ownResult(await held.beginWith(start, sql, parameters, [end], carried), transaction)
  } catch (error) {
    await rollBack(held)
    throw error
  }
}

/** The result between those of the start and of the end; an empty statement has none. */
function ownResult(results: Results, { start }: ReadingTransaction): Results {
  return Array.isArray(results) && results.length > start.length + 1 ? (results[start.length] as QueryResult) : []
}

/** Ends what an error has left open. A connection where that fails is closed as it is given back. */
async function rollBack(held: PooledClient): Promise<void> {
  if (held.status === 'E' || held.status === 'T') await held.query('rollback').catch(() => undefined)
}

function isSyntaxError(error: unknown): boolean {
  return hasSqlState(error) && (error as { readonly code: string }).code === SYNTAX_ERROR
}
