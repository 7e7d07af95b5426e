import { PartialCommitError } from '../atomic/errors.ts'
import { isRetryable } from '../database/retryable.ts'
import { SessionDataManager } from '../session/session-data-manager.ts'
import { TransientError, type DataManager, type Transaction } from '../transaction/index.ts'
import { NotRetriedError } from './errors.ts'
import { OneByOneCommits } from './one-by-one-commits.ts'
import type { AttemptOptions } from './unit-host.ts'

/** What came of a unit of work that ended with an error. */
export interface Ended {
  /** Whether the same work is to be attempted again. */
  readonly again: boolean
  /** The error to throw if not. */
  readonly error: unknown
}

type Decision = { readonly again: boolean; readonly instead?: NotRetriedError }

const UNDECIDED: Decision = { again: false }

/** Decides whether the work of a unit is attempted again: never when something of it is committed. */
export class RetryDecision {
  readonly #options: AttemptOptions
  /** What has committed: roles, and other data managers. */
  #committed: string[] | undefined
  #decision = UNDECIDED

  constructor(options: AttemptOptions) {
    this.#options = options
  }

  /** Notes the commit of a role. For its session. */
  readonly committing = (role: string): void => this.#noteCommit(`role "${role}"`)

  /** Notes the commit of data managers that are no sessions. For the transaction manager. */
  readonly finishing = (resources: readonly DataManager[]): void => {
    if (resources.some((resource) => !isOfSessions(resource))) this.#noteCommit('another data manager')
  }

  #noteCommit(by: string): void {
    this.#committed ??= []
    if (!this.#committed.includes(by)) this.#committed.push(by)
  }

  get hasCommitted(): boolean {
    return this.#committed !== undefined
  }

  /** Whether the work is attempted again, as far as is decided. */
  get again(): boolean {
    return this.#decision.again
  }

  /** Whether the same work may be, or was, run more than once. */
  get isAttempted(): boolean {
    return this.#options.mayRetry === true || (this.#options.attempt ?? 1) > 1
  }

  /** Whether `error` is worth another attempt. Asks the data managers of the transaction, which an abort lets go. */
  async isWorthIt(error: unknown, current: () => Transaction | undefined): Promise<boolean> {
    const reason = reasonOf(error)
    return (
      reason instanceof TransientError || isRetryable(reason) || (await current()?.isRetryableError(reason)) === true
    )
  }

  /** Decides about another attempt after an error that is worth one. */
  decide(error: unknown): void {
    if (error instanceof PartialCommitError) this.#refuse(new NotRetriedError(error.obstacle, error.cause))
    else if (this.hasCommitted) this.#refuse(this.#afterCommit(error))
    else if (this.#options.mayRetry === true) {
      const obstacle = this.#options.obstacle?.()
      if (obstacle === undefined) this.#decision = { again: true }
      else this.#refuse(new NotRetriedError(obstacle, error))
    }
  }

  /** Takes the decision back if a role has committed since. */
  confirm(error: unknown): void {
    if (this.again && this.hasCommitted) this.#refuse(this.#afterCommit(error))
  }

  /** What comes of the unit that `error` ended. */
  endedBy(error: unknown): Ended {
    const { again, instead } = this.#decision
    const isLate = instead === undefined && this.isAttempted && this.hasCommitted && isRetryable(error)
    return { again, error: isLate ? this.#afterCommit(error) : (instead ?? error) }
  }

  #refuse(instead: NotRetriedError): void {
    this.#decision = { again: false, instead }
  }

  #afterCommit(error: unknown): NotRetriedError {
    const stored = (this.#committed ?? []).join(', ')
    return new NotRetriedError(`part of the work is committed already and stays so: ${stored}`, error)
  }
}

function reasonOf(error: unknown): unknown {
  return error instanceof PartialCommitError ? error.cause : error
}

function isOfSessions(resource: DataManager): boolean {
  return resource instanceof SessionDataManager || resource instanceof OneByOneCommits
}
