import type { CommitAnswer, DatabaseLink, PrepareAnswer, StatementResult } from './database-link.ts'
import { rollBackAndRelease } from './roll-back-and-release.ts'

/** What it needs of its session. */
export interface TransactionHost {
  /** Takes a connection. */
  begin(): Promise<DatabaseLink>
  /** The error for whoever comes when it is over. */
  tooLate(): Error
}

/**
 * The database transaction of one session: begun by its first statement, once, however many statements ask at the same
 * time. A BEGIN that failed stays failed for all of them; otherwise a later one would run in a transaction of its own.
 */
export class LazyTransaction {
  readonly #host: TransactionHost
  #opening: Promise<DatabaseLink> | undefined
  /** Whether a statement is on its way. */
  #busy = false
  /** Lets the next one in. */
  readonly #waiting: (() => void)[] = []
  #ended = false
  #earlyAnswer: CommitAnswer | undefined
  #cancelled = false

  constructor(host: TransactionHost) {
    this.#host = host
  }

  /** Whether a connection was taken for it, or tried to be. */
  get begun(): boolean {
    return this.#opening !== undefined
  }

  /** Whether there is something to end. */
  get open(): boolean {
    return this.#opening !== undefined && !this.#ended
  }

  /** Runs `work` with the connection while no other statement of this transaction is on its way. */
  async exclusive<T>(work: (link: DatabaseLink) => Promise<T>): Promise<T> {
    if (this.#busy) await this.#turn()
    this.#busy = true
    try {
      if (this.#ended || this.#cancelled) throw this.#host.tooLate()
      this.#opening ??= this.#host.begin()
      const link = await this.#opening
      // The connection may have been waited for, and what was to be done with it be moot by now.
      if (this.#cancelled) throw this.#host.tooLate()
      return await work(link)
    } finally {
      this.#leave()
    }
  }

  /** Waits until no statement is on its way. */
  async idle(): Promise<void> {
    if (!this.#busy) return
    await this.#turn()
    this.#leave()
  }

  /** What came of a COMMIT that went along with the last statement, where one did. */
  get earlyAnswer(): CommitAnswer | undefined {
    return this.#earlyAnswer
  }

  /**
   * From within `exclusive`: the last statement, with COMMIT behind it unless somebody waits for his turn. Then it is over,
   * and the connection given back. @throws the driver's error when nothing was committed
   */
  async executeLast(link: DatabaseLink, sql: string): Promise<StatementResult> {
    if (link.executeAndCommit === undefined || this.#waiting.length > 0) return await link.execute(sql, [])
    const { result, answer } = await link.executeAndCommit(sql)
    if (answer !== undefined) {
      this.#ended = true
      this.#earlyAnswer = answer
      link.release(answer.outcome !== 'committed')
    }
    return result
  }

  /** Has the database give up the statement on its way, which is rejected then; what is not sent yet is not sent. */
  cancel(): void {
    this.#cancelled = true
    this.cancelStatement()
  }

  /** Has the database give up the statement on its way. */
  cancelStatement(): void {
    void this.#opening?.then(
      (link) => {
        if (!this.#ended) link.cancel()
      },
      () => undefined,
    )
  }

  /** Commits and gives the connection back, whatever comes of it; undefined if there was nothing begun, or nothing left. */
  async commit(decision?: string): Promise<CommitAnswer | undefined> {
    const link = await this.#end()
    if (link === undefined) return undefined
    const answer = await link.commit(decision)
    if (answer.outcome === 'refused') await rollBackAndRelease(link)
    else link.release(answer.outcome === 'unknown' || answer.outcome === 'lost')
    return answer
  }

  /** Prepares it under that id. The connection goes with what is prepared, and else back as after a commit. */
  async prepare(gid: string): Promise<{ readonly answer: PrepareAnswer; readonly link: DatabaseLink } | undefined> {
    const link = await this.#end()
    if (link?.prepare === undefined) return undefined
    const answer = await link.prepare(gid)
    if (answer.outcome === 'refused') await rollBackAndRelease(link)
    else if (answer.outcome !== 'prepared') link.release(answer.outcome !== 'rolled back')
    return { answer, link }
  }

  /** Rolls back what was begun, if anything, and gives the connection back. A connection that cannot is destroyed. */
  async rollback(): Promise<void> {
    let link: DatabaseLink | undefined
    try {
      link = await this.#end()
    } catch {
      return // BEGIN failed, as whoever sent the first statement was told: nothing is open.
    }
    if (link !== undefined) await rollBackAndRelease(link)
  }

  /** Waits for the statements under way, refuses any further one, and hands out the connection to whoever comes first. */
  async #end(): Promise<DatabaseLink | undefined> {
    if (this.#busy) await this.#turn()
    const opening = this.#ended ? undefined : this.#opening
    this.#ended = true
    this.#leave()
    return await opening
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#busy = false
    else next()
  }
}
