import { SqlassistError } from '../transaction/index.ts'
import type { CommitAnswer, DatabaseLink, PrepareAnswer, StatementResult } from './database-link.ts'
import {
  CannotPrepareError,
  CommitOutcomeUnknownError,
  ConnectionLostError,
  TransactionAbortedError,
} from './errors.ts'
import { PreparedTransaction, refusesToPrepare } from './prepared-transaction.ts'
import { rollBackAndRelease } from './roll-back-and-release.ts'
import { traceEnd, type Traceable } from './trace.ts'
import { Turns } from './turns.ts'

/** What it needs of its session. */
export interface TransactionHost extends Traceable {
  readonly role: string
  /** Takes a connection. */
  begin(): Promise<DatabaseLink>
  /** The error for whoever comes when it is over. */
  tooLate(): Error
}

/**
 * The database transaction of one session: begun by its first statement, once, however many statements ask at the same
 * time. A BEGIN that failed stays failed for all of them; otherwise a later one would run in a transaction of its own.
 */
export class DatabaseTransaction {
  readonly #host: TransactionHost
  readonly #turns = new Turns()
  #opening: Promise<DatabaseLink> | undefined
  #link: DatabaseLink | undefined
  #ended = false
  #cancelled = false
  /** The first error since the last savepoint that was rolled back to: why PostgreSQL refuses to go on. */
  #firstError: unknown
  /** What came of a COMMIT that went along with the last statement, where one did. */
  #earlyAnswer: CommitAnswer | undefined

  constructor(host: TransactionHost) {
    this.#host = host
  }

  /** Whether a connection was taken for it, or tried to be. */
  get begun(): boolean {
    return this.#opening !== undefined
  }

  /** Whether it was committed together with its last statement. */
  get committedEarly(): boolean {
    return this.#earlyAnswer?.outcome === 'committed'
  }

  /** Runs `work` with the connection while no other statement of this transaction is on its way. */
  async exclusive<T>(work: (link: DatabaseLink) => Promise<T>): Promise<T> {
    const turn = this.#turns.take()
    if (turn !== undefined) await turn
    try {
      if (this.#ended || this.#cancelled) throw this.#host.tooLate()
      return await work(this.#link ?? (await this.#open()))
    } catch (error) {
      // What was refused here never reached the database.
      if (!(error instanceof SqlassistError)) this.#firstError ??= error
      throw error
    } finally {
      this.#turns.pass()
    }
  }

  async #open(): Promise<DatabaseLink> {
    this.#opening ??= this.#host.begin()
    this.#link = await this.#opening
    // The connection may have been waited for, and what was to be done with it be moot by now.
    if (this.#cancelled) throw this.#host.tooLate()
    return this.#link
  }

  /** Waits until no statement is on its way. */
  async idle(): Promise<void> {
    await this.#turns.take()
    this.#turns.pass()
  }

  /** A savepoint was rolled back to: the errors since are undone with the rest. */
  forgetErrors(): void {
    this.#firstError = undefined
  }

  /** Has the database give up the statement on its way, which is rejected then; what is not sent yet is not sent. */
  cancel(): void {
    this.#cancelled = true
    this.cancelStatement()
  }

  /** Has the database give up the statement on its way. */
  cancelStatement(): void {
    if (!this.#ended) this.#link?.cancel()
  }

  /**
   * From within `exclusive`: the last statement, with COMMIT behind it unless somebody waits for his turn. Then it is over,
   * and the connection given back.
   * @throws CommitOutcomeUnknownError; the driver's error when nothing was committed
   */
  async executeLast(link: DatabaseLink, sql: string): Promise<StatementResult> {
    if (link.executeAndCommit === undefined || this.#turns.awaited) return await link.execute(sql, [])
    const { result, answer } = await link.executeAndCommit(sql)
    if (answer === undefined) return result
    this.#ended = true
    this.#earlyAnswer = answer
    const releasing = releaseAfter(answer, link)
    if (releasing !== undefined) await releasing
    this.assertOutcomeKnown()
    return result
  }

  /** @throws CommitOutcomeUnknownError where the answer to an early COMMIT was lost */
  assertOutcomeKnown(): void {
    if (this.#earlyAnswer?.outcome === 'unknown') {
      throw new CommitOutcomeUnknownError(this.#host.role, this.#earlyAnswer.error)
    }
  }

  /**
   * Makes sure that the database will commit what was sent; without a promise where that is known.
   * @throws TransactionAbortedError or ConnectionLostError with the statement's error as cause
   */
  assertCommittable(): Promise<void> | undefined {
    if (!this.begun || this.committedEarly) return undefined
    const isIdle = !this.#ended && !this.#cancelled && !this.#turns.taken
    return isIdle && this.#link?.isIntact === true ? undefined : this.#askWhetherCommittable()
  }

  async #askWhetherCommittable(): Promise<void> {
    if (await this.exclusive((link) => link.isAborted())) throw this.#aborted()
  }

  /**
   * Commits, with a decision written down in it where there is one, and gives the connection back whatever comes of it. Does
   * nothing if there was nothing begun, or nothing left.
   * @throws TransactionAbortedError, ConnectionLostError, CommitOutcomeUnknownError, or the driver's error as it is
   */
  async commit(decision?: string): Promise<void> {
    const details = { how: 'commit', decides: decision !== undefined } as const
    const answer = await traceEnd(this.#host, details, () => this.#commit(decision))
    const { role } = this.#host
    if (answer === undefined) return
    if (answer.outcome === 'rolled back') throw this.#aborted()
    if (answer.outcome === 'unknown') throw new CommitOutcomeUnknownError(role, answer.error)
    if (answer.outcome === 'lost' || answer.outcome === 'refused') throw answer.error
  }

  async #commit(decision: string | undefined): Promise<CommitAnswer | undefined> {
    const ending = this.#end()
    const link = ending instanceof Promise ? await ending : ending
    if (link === undefined) return undefined
    const answer = await link.commit(decision)
    if (answer.outcome === 'refused') await rollBackAndRelease(link)
    else {
      const releasing = releaseAfter(answer, link)
      if (releasing !== undefined) await releasing
    }
    return answer
  }

  /**
   * Prepares it under that id: from here on it outlives its connection, and the process. The connection goes with what is
   * prepared, and else back as after a commit.
   * @throws CannotPrepareError, TransactionAbortedError, or the driver's error as it is, when nothing is prepared;
   *   ConnectionLostError when it may be, all the same
   */
  async prepare(gid: string): Promise<PreparedTransaction> {
    const { role } = this.#host
    const { answer, link } = await traceEnd(this.#host, { how: 'prepare', gid }, () => this.#prepare(gid))
    switch (answer.outcome) {
      case 'prepared':
        return new PreparedTransaction(gid, link)
      case 'rolled back':
        throw this.#aborted()
      case 'lost':
        throw answer.error
      case 'unknown':
        throw new ConnectionLostError(role, answer.error)
      case 'refused':
        throw refusesToPrepare(answer.error) ? new CannotPrepareError(role, answer.error) : answer.error
    }
  }

  async #prepare(gid: string) {
    const link = await this.#end()
    if (link?.prepare === undefined) throw this.#host.tooLate()
    const answer = await link.prepare(gid)
    if (answer.outcome === 'refused') await rollBackAndRelease(link)
    else if (answer.outcome !== 'prepared') await releaseAfter(answer, link)
    return { answer, link }
  }

  /**
   * Rolls back what was begun and gives the connection back; a connection that cannot is closed. Undefined if there was
   * nothing to be done.
   */
  rollback(): Promise<void> | undefined {
    if (this.begun && !this.#ended) return traceEnd(this.#host, { how: 'rollback' }, () => this.#rollBack())
    this.#ended = true
    return undefined
  }

  async #rollBack(): Promise<void> {
    let link: DatabaseLink | undefined
    try {
      link = await this.#end()
    } catch {
      return // BEGIN failed, as whoever sent the first statement was told: nothing is open.
    }
    if (link !== undefined) await rollBackAndRelease(link)
  }

  /** Refuses any further statement, and hands out the connection to whoever comes first. */
  #end(): DatabaseLink | Promise<DatabaseLink | undefined> | undefined {
    if (this.#turns.taken || this.#link === undefined) return this.#endInTurn()
    const link = this.#ended ? undefined : this.#link
    this.#ended = true
    return link
  }

  /** Behind the statements under way. */
  async #endInTurn(): Promise<DatabaseLink | undefined> {
    const turn = this.#turns.take()
    if (turn !== undefined) await turn
    const opening = this.#ended ? undefined : this.#opening
    this.#ended = true
    this.#turns.pass()
    return await opening
  }

  #aborted(): TransactionAbortedError {
    return new TransactionAbortedError(this.#host.role, this.#firstError)
  }
}

/** Gives the connection back after a COMMIT or PREPARE that left no transaction open on it, or closes it. */
function releaseAfter({ outcome }: CommitAnswer | PrepareAnswer, link: DatabaseLink): Promise<void> | undefined {
  return link.release(outcome === 'unknown' || outcome === 'lost')
}
