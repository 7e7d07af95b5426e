import type { QueryResult } from 'pg'
import type {
  CommitAnswer,
  CommittedStatement,
  DatabaseConnection,
  Doubt,
  Exclusive,
  PrepareAnswer,
  StatementResult,
} from '../database.ts'
import { ConnectionLostError, EndedByStatementError, TransactionAbortedError, type EndedHow } from '../errors.ts'
import { SqlassistError } from '../../transaction/index.ts'
import { hasWritten } from './has-written.ts'
import { moveBack } from './error-position.ts'
import { endsTransaction, outcomeOf } from './transaction-ends.ts'
import type { PooledClient } from './pooled-client.ts'
import { AS_WHO_LOGGED_IN } from './postgres-decisions.ts'
import type { Finish } from '../prepared.ts'
import { finishSql } from './prepared-transactions.ts'
import { sqlLiteral } from '../sql-literal.ts'
import { hasSqlState } from './server-errors.ts'
import { statementKind, type StatementKind } from '../statement-kind.ts'

/** What has to come before the first query, and gives the transaction its snapshot. */
const IMPORTS_SNAPSHOT = /^set transaction snapshot '[^']*';?$/i
const COUNTED = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * A pg client of the ORM's own pool, held by one session.
 *
 * Kysely's ControlledTransaction is not used. That class takes the COMMIT of a failed transaction for a success. When its
 * rollback fails, the connection stays out of the pool for ever (https://github.com/kysely-org/kysely/issues/1990).
 */
export class PostgresConnection implements DatabaseConnection {
  readonly #held: PooledClient
  readonly #role: string
  /** Whether the transaction only reads. */
  readonly #isReading: boolean
  /** What begins the transaction; undefined when it was sent. */
  #start: readonly string[] | undefined
  #cursors = 0
  #firstError: unknown
  /** A statement has ended the transaction; the server may be in another. */
  #hasLeft = false

  /** `start` begins the transaction: it travels with the first statement. `isReading`: READ ONLY is part of it. */
  constructor(held: PooledClient, role: string, start: readonly string[], isReading = false) {
    this.#held = held
    this.#role = role
    this.#start = start
    this.#isReading = isReading
  }

  get isFresh(): boolean {
    return this.#start !== undefined
  }

  kindOf(sql: string): StatementKind {
    return statementKind(sql, 'postgresql')
  }

  get backend(): number | undefined {
    return this.#held.backend
  }

  async begin(): Promise<void> {
    const start = this.#start
    this.#start = undefined
    if (start !== undefined) await this.#held.query(start.join('; '))
  }

  watch(sql: string, isRaw: boolean): void {
    this.#held.left.note(sql, isRaw)
  }

  async execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    return resultOf(await this.#query(sql, parameters))
  }

  async savepointToRead(name: string): Promise<void> {
    await this.#send(`savepoint ${name};set transaction read only`)
  }

  /** By a cursor of the server's, so that other statements of the same transaction may run between two chunks. */
  async *stream(
    sql: string,
    parameters: readonly unknown[],
    chunkSize: number,
    exclusive: Exclusive,
  ): AsyncIterable<unknown[]> {
    const cursor = `sqlassist_${++this.#cursors}`
    await exclusive(() => this.#query(sql, parameters, `declare ${cursor} no scroll cursor for `))
    let finished = false
    try {
      while (!finished) {
        const { rows } = await exclusive(() => this.execute(`fetch ${chunkSize} from ${cursor}`, []))
        finished = rows.length < chunkSize
        if (rows.length > 0) yield rows
      }
    } finally {
      // A failed statement has closed the cursor together with everything else of the transaction.
      await exclusive(async () => {
        if (this.isIntact) await this.#query(`close ${cursor}`)
      })
    }
  }

  get isIntact(): boolean {
    return this.isFresh || (!this.#hasLeft && this.#held.status === 'T')
  }

  async isAborted(): Promise<boolean> {
    return !this.isFresh && (this.#hasLeft || (await this.#held.freshStatus()) !== 'T')
  }

  async wrote(isUndonePartly: boolean): Promise<boolean> {
    if (this.isFresh) return false
    const { rows } = await this.execute(hasWritten(isUndonePartly), [])
    return (rows[0] as { wrote: boolean }).wrote
  }

  commit(decision?: string): Promise<CommitAnswer> {
    if (this.isFresh && decision === undefined) return Promise.resolve({ outcome: 'committed' })
    return this.#end('committed', 'COMMIT', decision === undefined ? 'commit' : `${decision}; commit`)
  }

  async executeAndCommit(sql: string): Promise<CommittedStatement> {
    // What is left on the connection would stay there until somebody has the answer.
    if (this.#held.left.isPossible) return { result: await this.execute(sql, []), answer: undefined }
    if (this.#mayBeGone) await this.#assertOpen()
    try {
      // On a line of its own: the statement may end in a comment.
      const results = [await this.#send(`${sql}\n;commit`)].flat()
      const isCommitted = results.length > 1 && results.at(-1)?.command === 'COMMIT'
      const own = isCommitted ? results.slice(0, -1) : results
      const result = resultOf(own.length === 1 ? (own[0] as QueryResult) : own)
      return { result, answer: isCommitted ? { outcome: 'committed' } : undefined }
    } catch (error) {
      const answer = this.#failed(error)
      // Refused means that nothing of the string was committed.
      if (answer.outcome !== 'unknown') throw error
      return { result: { rows: [] }, answer }
    }
  }

  prepare(gid: string): Promise<PrepareAnswer> {
    return this.#end('prepared', 'PREPARE', `${AS_WHO_LOGGED_IN}; prepare transaction ${sqlLiteral(gid)}`)
  }

  async finishPrepared(gid: string, how: Finish): Promise<void> {
    await this.#held.query(finishSql(gid, how))
  }

  /** In one simple query. A transaction that failed earlier answers COMMIT and PREPARE with ROLLBACK, and no error. */
  async #end<Done>(done: Done, tag: string, sql: string) {
    this.#held.user = undefined
    try {
      // COMMIT outside of a transaction would answer like one that had something to commit.
      if (this.#mayBeGone) await this.#assertOpen()
    } catch (error) {
      return error instanceof TransactionAbortedError || error instanceof EndedByStatementError
        ? { outcome: 'rolled back' as const }
        : { outcome: 'lost' as const, error: error instanceof ConnectionLostError ? error : this.#held.lost(error) }
    }
    const tags: string[] = []
    try {
      if (tag === 'COMMIT' && this.#held.left.isPossible && !this.isFresh) await this.#held.endClean(sql, tags)
      else tags.push(...[await this.#send(sql)].flat().map(({ command }) => command))
    } catch (error) {
      // What failed behind COMMIT is only the cleaning; such a connection is closed.
      if (tags.includes('COMMIT')) return { outcome: done }
      return this.#failed(error)
    }
    return { outcome: tags.includes(tag) ? done : ('rolled back' as const) }
  }

  /** What became of a COMMIT or PREPARE that ended in `error`. */
  #failed(error: unknown) {
    if (error instanceof ConnectionLostError) {
      return this.#held.isUnanswered
        ? { outcome: 'unknown' as const, error: error.cause }
        : { outcome: 'lost' as const, error }
    }
    // Without a SQLSTATE it is pg that gave up, and the server may go on.
    return { outcome: hasSqlState(error) ? ('refused' as const) : ('unknown' as const), error }
  }

  async rollback(doubt?: Doubt): Promise<void> {
    this.#held.user = undefined
    if (doubt !== undefined && !this.#hasLeft && this.#held.status === 'T') {
      try {
        const results = await this.#held.rollBack(`${hasWritten(doubt.isUndonePartly)};`)
        if ((results as QueryResult[])[0]?.rows[0].wrote === true) doubt.isTrue()
        return
      } catch {
        // What the question meets, ROLLBACK meets as well.
      }
    }
    if (this.#held.status === 'I') return
    if (this.#hasLeft) await this.#held.query('rollback')
    else await this.#held.rollBack()
  }

  cancel(): void {
    this.#held.cancel()
  }

  release(broken?: boolean): Promise<void> | undefined {
    return this.#held.release(broken === true || this.#hasLeft)
  }

  /**
   * Sends the program's `sql`, behind `ahead`.
   * @throws TransactionAbortedError where it would run in autocommit; EndedByStatementError where it has ended the transaction
   */
  async #query(sql: string, parameters?: readonly unknown[], ahead?: string): Promise<QueryResult | QueryResult[]> {
    const wasBegun = !this.isFresh
    let results
    try {
      results = await this.#send(sql, parameters, ahead)
    } catch (error) {
      // An error leaves the transaction open, as a failed one.
      if (wasBegun && !(error instanceof SqlassistError) && this.#held.status === 'I')
        throw this.#leave('unknown', error)
      throw error
    }
    if (this.#held.status === 'I' || endsTransaction(results, sql)) throw this.#leave(outcomeOf(results))
    // A text may hold more statements than it seems to.
    if (Array.isArray(results)) this.#held.left.doubt()
    return results
  }

  #leave(outcome: EndedHow, cause?: unknown): EndedByStatementError {
    const error = new EndedByStatementError(this.#role, outcome, cause)
    this.#firstError = error
    this.#hasLeft = true
    return error
  }

  async #send(sql: string, parameters: readonly unknown[] = [], ahead = ''): Promise<QueryResult | QueryResult[]> {
    if (this.#mayBeGone) await this.#assertOpen()
    const start = this.#startBefore(sql, ahead)
    this.#start = undefined
    // Of several statements in one string, one could end the transaction that only reads.
    const isAlone = parameters.length > 0 || (this.#isReading && sql.includes(';'))
    const inFront = isAlone || start.length === 0 ? ahead : `${start.join(';')};${ahead}`
    try {
      const isPlain = !isAlone || (start.length === 0 && parameters.length > 0)
      const results = isPlain
        ? await this.#held.query(inFront + sql, parameters)
        : await this.#held.beginWith(start, inFront + sql, parameters)
      return start.length === 0 ? results : withoutFirst(start.length, results)
    } catch (error) {
      this.#firstError ??= error
      moveBack(error, Array.from(inFront).length)
      throw error
    }
  }

  /** PostgreSQL lets READ ONLY be taken back until the first query. */
  #startBefore(sql: string, ahead: string): readonly string[] {
    const start = this.#start ?? []
    const isQuery = ahead !== '' || sql.startsWith('select ') || IMPORTS_SNAPSHOT.test(sql)
    return !this.#isReading || start.length === 0 || isQuery ? start : [...start, 'select']
  }

  /**
   * Refuses when BEGIN was sent and there is no transaction all the same. Where a simple query has a syntax error, nothing of
   * it runs, not even the BEGIN in front.
   */
  async #assertOpen(): Promise<void> {
    if (this.#hasLeft) throw this.#firstError as EndedByStatementError
    if ((await this.#held.freshStatus()) === 'I') throw new TransactionAbortedError(this.#role, this.#firstError)
  }

  get #mayBeGone(): boolean {
    const { status } = this.#held
    return !this.isFresh && (this.#hasLeft || status === 'I' || status === null)
  }
}

/**
 * Returns no rows and no counts of several statements in one string. `numAffectedRows` is there for those that write
 * rows.
 */
export function resultOf(result: QueryResult | QueryResult[]): StatementResult {
  if (Array.isArray(result)) return { rows: [] }
  const { rows, rowCount, command } = result
  return { rows, command, numAffectedRows: COUNTED.has(command) ? BigInt(rowCount ?? 0) : undefined }
}

/** The results of a string that had `count` statements of ours in front. */
function withoutFirst(count: number, result: QueryResult | QueryResult[]): QueryResult | QueryResult[] {
  const results = Array.isArray(result) ? result.slice(count) : []
  return results.length === 1 ? (results[0] as QueryResult) : results
}
