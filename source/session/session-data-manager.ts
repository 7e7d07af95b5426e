import type { DataManager, DataManagerSavepoint, Transaction } from '../transaction/index.ts'
import type { CommitGroup } from './commit-group.ts'
import { isRetryable } from './retryable.ts'
import type { Session } from './session.ts'

/**
 * Carries a session through a commit. A single changed one is committed in the last vote, which is why sessions come last
 * among the resources; of several, all but one are prepared there, and the one left decides.
 *
 * As zope.sqlalchemy's: flush in tpcBegin (and, with `pipelineCommit`, COMMIT where nobody else has a vote), an unchanged session is rolled back in commit, a changed one votes in tpcVote.
 */
export class SessionDataManager implements DataManager {
  readonly #session: Session
  readonly #group: CommitGroup
  readonly #pipelines: boolean

  /** `pipelines`: where it is the only resource, COMMIT may go along with the last statement of the flush. */
  constructor(session: Session, group: CommitGroup, pipelines: boolean) {
    this.#session = session
    this.#group = group
    this.#pipelines = pipelines
  }

  sortKey(): string {
    return `~mikro-orm:${this.#session.role}`
  }

  tpcBegin(transaction: Transaction): Promise<void> {
    this.#group.enter()
    return this.#pipelines && transaction.resourceCount === 1 ? this.#session.flushAndCommit() : this.#session.flush()
  }

  commit(): Promise<void> | undefined {
    return this.#session.state === 'changed' ? this.#session.assertCommittable() : this.#settle()
  }

  async #settle(): Promise<void> {
    await this.#session.settleUnmarkedWrites()
    if (this.#session.state === 'changed') return await this.#session.assertCommittable()
    await this.#session.rollbackDatabase()
    this.#session.end('its transaction was committed, with nothing to commit in it')
  }

  tpcVote(): Promise<void> | undefined {
    return this.#group.vote()
  }

  tpcFinish(): Promise<void> | undefined {
    return this.#group.finish()
  }

  tpcAbort(): Promise<void> {
    return this.#group.giveUp(this.#session)
  }

  savepoint(): Promise<DataManagerSavepoint> {
    return this.#session.savepoint()
  }

  shouldRetry(error: unknown): boolean {
    return isRetryable(error)
  }

  async abort(): Promise<void> {
    if (this.#session.ended) return
    const rollback = this.#session.rollbackDatabase()
    this.#session.end('its transaction was aborted')
    await rollback
  }
}
