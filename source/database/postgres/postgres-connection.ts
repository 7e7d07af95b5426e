import type { QueryResult } from 'pg'
import type {
  Around,
  CommitAnswer,
  CommittedStatement,
  DatabaseConnection,
  Doubt,
  Exclusive,
  PrepareAnswer,
  ResultAmong,
  StatementResult,
} from '../database.ts'
import { EndedByStatementError, TransactionAbortedError, type EndedHow } from '../errors.ts'
import { SqlassistError } from '../../transaction/index.ts'
import { CarriedOut } from './carried-out.ts'
import type { CommitPositions } from './commit-position.ts'
import { hasWritten } from './has-written.ts'
import { moveBack } from './error-position.ts'
import { endsTransaction, outcomeOf } from './transaction-ends.ts'
import type { PooledClient } from './pooled-client.ts'
import { PostgresCommit, type Committing } from './postgres-commit.ts'
import type { Finish } from '../prepared.ts'
import { resultOf, withoutFirst } from './results.ts'
import { statementKind, type StatementKind } from '../statement-kind.ts'
import type { WalPosition } from '../wal-position.ts'
import { startBefore, type TransactionPlan } from './transaction-plan.ts'

/**
 * A pg client of the ORM's own pool, held by one session.
 *
 * Kysely's ControlledTransaction is not used. That class takes the COMMIT of a failed transaction for a success. When its
 * rollback fails, the connection stays out of the pool for ever (https://github.com/kysely-org/kysely/issues/1990).
 */
export class PostgresConnection implements DatabaseConnection, Committing {
  readonly #held: PooledClient
  readonly #role: string
  /** Whether the transaction only reads. */
  readonly #isReading: boolean
  readonly #positions: CommitPositions | undefined
  readonly #assertStarted: TransactionPlan['assertStarted']
  /** What begins the transaction; undefined when it was sent. */
  #start: readonly string[] | undefined
  #cursors = 0
  #firstError: unknown
  /** A statement has ended the transaction; the server may be in another. */
  #hasLeft = false

  constructor(held: PooledClient, { role, start, isReading, positions, assertStarted }: TransactionPlan) {
    this.#held = held
    this.#role = role
    this.#start = start
    this.#isReading = isReading
    this.#positions = positions
    this.#assertStarted = assertStarted
  }

  get isFresh(): boolean {
    return this.#start !== undefined
  }

  get start(): readonly string[] | undefined {
    return this.#start
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
    if (start === undefined) return
    const carried = this.#assertStarted && new CarriedOut()
    await this.#started(carried, this.#held.query(start.join('; '), undefined, carried))
  }

  watch(sql: string, isRaw: boolean): void {
    this.#held.left.note(sql, isRaw)
  }

  execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    return this.#query(sql, parameters)
  }

  async executeAmong(sql: string, parameters: readonly unknown[], { before, behind }: Around): Promise<ResultAmong> {
    const asking = this.assertOpen()
    if (asking !== undefined) await asking
    const start = [...(this.#start ?? []), ...before]
    const wasBegun = !this.isFresh
    this.#start = undefined
    const carried = new CarriedOut()
    try {
      await this.#held.beginWith(start, sql, parameters, behind, carried)
    } catch (error) {
      this.#firstError ??= error
      if (wasBegun && !(error instanceof SqlassistError) && this.#held.status === 'I')
        throw this.#leave('unknown', error)
      throw error
    }
    const { results } = carried
    // An empty statement has no result.
    const isThere = results.length === start.length + 1 + behind.length
    const own = isThere ? (results[start.length] as QueryResult) : []
    if (this.#held.status === 'I' || endsTransaction(own, sql)) throw this.#leave(outcomeOf(own))
    return { before: results.slice(start.length - before.length, start.length).map(resultOf), own: resultOf(own) }
  }

  async savepointToRead(name: string): Promise<void> {
    await this.#query(`savepoint ${name};set transaction read only`, [], '', new CarriedOut())
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

  get #commit(): PostgresCommit {
    return new PostgresCommit(this.#held, this, this.#positions)
  }

  commit(decision?: string): Promise<CommitAnswer> {
    return this.#commit.commit(decision)
  }

  executeAndCommit(sql: string): Promise<CommittedStatement> {
    // What is left on the connection would stay there until somebody has the answer.
    if (this.#held.left.isPossible) return this.execute(sql, []).then((result) => ({ result, answer: undefined }))
    return this.#commit.executeAndCommit(sql)
  }

  prepare(gid: string): Promise<PrepareAnswer> {
    return this.#commit.prepare(gid)
  }

  finishPrepared(gid: string, how: Finish): Promise<WalPosition | undefined> {
    return this.#commit.finishPrepared(gid, how)
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
   * Sends `sql`, behind what begins the transaction and `ahead`. `carried` gets what was carried out, and says that `sql` is the
   * library's own: that may end the transaction.
   * @throws TransactionAbortedError where it would run in autocommit; EndedByStatementError where it has ended the transaction
   */
  async #query(
    sql: string,
    parameters: readonly unknown[] = [],
    ahead = '',
    carried?: CarriedOut,
  ): Promise<StatementResult> {
    const mayHaveEnded = carried === undefined && !this.isFresh
    const asking = this.assertOpen()
    if (asking !== undefined) await asking
    const start = startBefore(this.#start, this.#isReading, sql, ahead)
    this.#start = undefined
    // Of several statements in one string, one could end the transaction that only reads.
    const isAlone = parameters.length > 0 || (this.#isReading && sql.includes(';'))
    const inFront = isAlone || start.length === 0 ? ahead : `${start.join(';')};${ahead}`
    const started = start.length > 0 && this.#assertStarted !== undefined ? new CarriedOut() : undefined
    let results
    try {
      const isPlain = !isAlone || (start.length === 0 && parameters.length > 0)
      const sending = isPlain
        ? this.#held.query(inFront + sql, parameters, started ?? carried)
        : this.#held.beginWith(start, inFront + sql, parameters, [], started ?? carried)
      results = await (started === undefined ? sending : this.#started(started, sending))
    } catch (error) {
      this.#firstError ??= error
      moveBack(error, Array.from(inFront).length)
      // An error leaves the transaction open, as a failed one.
      const hasEnded = mayHaveEnded && !(error instanceof SqlassistError) && this.#held.status === 'I'
      throw hasEnded ? this.#leave('unknown', error) : error
    }
    if (start.length > 0) results = withoutFirst(start.length, results)
    if (carried === undefined) this.#assertNotEnded(sql, results)
    return resultOf(results)
  }

  #assertNotEnded(sql: string, results: QueryResult | QueryResult[]): void {
    if (this.#held.status === 'I' || endsTransaction(results, sql)) throw this.#leave(outcomeOf(results))
    // A text may hold more statements than it seems to.
    if (Array.isArray(results)) this.#held.left.doubt()
  }

  #leave(outcome: EndedHow, cause?: unknown): EndedByStatementError {
    const error = new EndedByStatementError(this.#role, outcome, cause)
    this.#firstError = error
    this.#hasLeft = true
    return error
  }

  /** Has what begins the transaction looked at, which was carried out or not. */
  async #started<T>(carried: CarriedOut | undefined, sending: Promise<T>): Promise<T> {
    if (carried === undefined) return await sending
    try {
      const results = await sending
      this.#assertStarted?.(carried)
      return results
    } catch (error) {
      this.#assertStarted?.(carried, error)
      throw error
    }
  }

  send(sql: string, carried: CarriedOut): Promise<unknown> {
    return this.#query(sql, [], '', carried)
  }

  /**
   * Refuses when BEGIN was sent and there is no transaction all the same. Where a simple query has a syntax error, nothing of
   * it runs, not even the BEGIN in front. Waits only where the server has to be asked.
   */
  assertOpen(): Promise<void> | undefined {
    return this.#mayBeGone ? this.#assertOpen() : undefined
  }

  async #assertOpen(): Promise<void> {
    if (this.#hasLeft) throw this.#firstError as EndedByStatementError
    if ((await this.#held.freshStatus()) === 'I') throw new TransactionAbortedError(this.#role, this.#firstError)
  }

  get #mayBeGone(): boolean {
    const { status } = this.#held
    return !this.isFresh && (this.#hasLeft || status === 'I' || status === null)
  }
}
