import type { CommitAnswer, CommittedStatement, PrepareAnswer } from '../database.ts'
import { ConnectionLostError, EndedByStatementError, TransactionAbortedError } from '../errors.ts'
import type { Finish } from '../prepared.ts'
import { sqlLiteral } from '../sql-literal.ts'
import type { WalPosition } from '../wal-position.ts'
import { CarriedOut } from './carried-out.ts'
import { POSITION, positionBehindCommit, type CommitPositions } from './commit-position.ts'
import type { PooledClient } from './pooled-client.ts'
import { AS_WHO_LOGGED_IN } from './postgres-decisions.ts'
import { finishSql } from './prepared-transactions.ts'
import { resultOf } from './results.ts'
import { hasSqlState } from './server-errors.ts'

/** The transaction that is committed. */
export interface Committing {
  readonly isFresh: boolean
  /** What begins it, and was not sent. */
  readonly start: readonly string[] | undefined
  /**
   * Waits only where the server has to be asked.
   * @throws TransactionAbortedError or EndedByStatementError where it is gone; ConnectionLostError
   */
  assertOpen(): Promise<void> | undefined
  /** Sends `sql`, behind what begins it. `carried` gets what was carried out, also of what begins it. */
  send(sql: string, carried: CarriedOut): Promise<unknown>
}

/** Commits a transaction, or prepares it, and finds out what the server made of that. */
export class PostgresCommit {
  readonly #held: PooledClient
  readonly #transaction: Committing
  readonly #positions: CommitPositions | undefined

  /** `positions`, where replicas are to show what is committed: COMMIT goes with the question where it is. */
  constructor(held: PooledClient, transaction: Committing, positions: CommitPositions | undefined) {
    this.#held = held
    this.#transaction = transaction
    this.#positions = positions
  }

  commit(decision: string | undefined): Promise<CommitAnswer> {
    if (this.#transaction.isFresh && decision === undefined) return Promise.resolve({ outcome: 'committed' })
    return this.#end('COMMIT', decision === undefined ? this.#sql : `${decision}; ${this.#sql}`, 'committed')
  }

  prepare(gid: string): Promise<PrepareAnswer> {
    return this.#end('PREPARE', `${AS_WHO_LOGGED_IN}; prepare transaction ${sqlLiteral(gid)}`, 'prepared')
  }

  async executeAndCommit(sql: string): Promise<CommittedStatement> {
    const asking = this.#transaction.assertOpen()
    if (asking !== undefined) await asking
    const start = this.#transaction.start?.length ?? 0
    const carried = new CarriedOut()
    try {
      // On a line of its own: the statement may end in a comment.
      await this.#transaction.send(`${sql}\n;${this.#sql}`, carried)
    } catch (error) {
      if (!carried.has('COMMIT')) {
        const answer = this.#failed(error)
        // Refused means that nothing of the string was committed.
        if (answer.outcome !== 'unknown') throw error
        return { result: { rows: [] }, answer }
      }
    }
    const isCommitted = carried.has('COMMIT')
    const own = carried.results.slice(start, isCommitted ? carried.indexOf('COMMIT') : undefined)
    const result = resultOf(own.length === 1 && own[0] !== undefined ? own[0] : own)
    if (!isCommitted) return { result, answer: undefined }
    return { result, answer: { outcome: 'committed', position: await this.#position(carried) } }
  }

  /** What commits, and asks where that is, if somebody wants to know. */
  get #sql(): string {
    return this.#positions === undefined ? 'commit' : `commit;${POSITION}`
  }

  async #position(carried: CarriedOut): Promise<WalPosition | undefined> {
    if (this.#positions === undefined) return undefined
    const position = positionBehindCommit(carried) ?? (await this.#positions.ask())
    if (position !== undefined) this.#positions.heard(position)
    return position
  }

  async finishPrepared(gid: string, how: Finish): Promise<WalPosition | undefined> {
    const finish = finishSql(gid, how)
    if (how === 'rollback' || this.#positions === undefined) {
      await this.#held.query(finish)
      return undefined
    }
    const carried = new CarriedOut()
    try {
      // In one string with another statement it is refused.
      await this.#held.beginWith([finish], POSITION, [], [], carried)
    } catch (error) {
      if (!carried.has('COMMIT')) throw error
    }
    return await this.#position(carried)
  }

  /** In one simple query. A transaction that failed earlier answers COMMIT and PREPARE with ROLLBACK, and no error. */
  async #end<Done extends string>(command: 'COMMIT' | 'PREPARE', sql: string, outcome: Done) {
    this.#held.user = undefined
    try {
      // COMMIT outside of a transaction would answer like one that had something to commit.
      const asking = this.#transaction.assertOpen()
      if (asking !== undefined) await asking
    } catch (error) {
      return error instanceof TransactionAbortedError || error instanceof EndedByStatementError
        ? { outcome: 'rolled back' as const }
        : { outcome: 'lost' as const, error: error instanceof ConnectionLostError ? error : this.#held.lost(error) }
    }
    const { isFresh } = this.#transaction
    const cleans = command === 'COMMIT' && this.#held.left.isPossible && !isFresh
    const carried = new CarriedOut()
    try {
      if (isFresh) await this.#transaction.send(sql, carried)
      else await (cleans ? this.#held.endClean(sql, carried) : this.#held.query(sql, undefined, carried))
    } catch (error) {
      // What fails behind COMMIT is the question where it is, or the cleaning; such a connection is closed.
      if (!carried.has('COMMIT')) return this.#failed(error)
    }
    if (!carried.has(command)) return { outcome: 'rolled back' as const }
    const isAsked = command === 'COMMIT' && this.#positions !== undefined
    return { outcome, position: isAsked ? await this.#position(carried) : undefined }
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
}
