import type { CommitAnswer, DatabaseLink, PrepareAnswer } from './database-link.ts'
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
  /** Settles when the statement last queued is done; it never rejects. */
  #lastInQueue: Promise<void> | undefined
  #ended = false
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
    const leave = await this.#enter()
    try {
      if (this.#ended || this.#cancelled) throw this.#host.tooLate()
      this.#opening ??= this.#host.begin()
      const link = await this.#opening
      // The connection may have been waited for, and what was to be done with it be moot by now.
      if (this.#cancelled) throw this.#host.tooLate()
      return await work(link)
    } finally {
      leave()
    }
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
    const leave = await this.#enter()
    const opening = this.#ended ? undefined : this.#opening
    this.#ended = true
    leave()
    return await opening
  }

  /** Waits for its turn; the caller owes the call that lets the next one in. */
  async #enter(): Promise<() => void> {
    const previous = this.#lastInQueue
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#lastInQueue = promise
    await previous
    return resolve
  }
}
