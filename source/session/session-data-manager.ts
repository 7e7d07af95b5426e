import type { DataManager, DataManagerSavepoint } from '../transaction/index.ts'
import type { CommitGroup } from './commit-group.ts'
import { isRetryable } from './retryable.ts'
import type { Session } from './session.ts'

/**
 * Carries a session through a commit. A single changed one is committed in the last vote, which is why sessions come last
 * among the resources; of several, all but one are prepared there, and the one left decides.
 *
 * As zope.sqlalchemy's: flush in tpcBegin, an unchanged session is rolled back in commit, a changed one votes in tpcVote.
 */
export class SessionDataManager implements DataManager {
  readonly #session: Session
  readonly #group: CommitGroup

  constructor(session: Session, group: CommitGroup) {
    this.#session = session
    this.#group = group
  }

  sortKey(): string {
    return `~mikro-orm:${this.#session.role}`
  }

  async tpcBegin(): Promise<void> {
    this.#group.enter()
    await this.#session.flush()
  }

  async commit(): Promise<void> {
    await this.#session.settleUnmarkedWrites()
    if (this.#session.state === 'changed') {
      await this.#session.assertCommittable()
      return
    }
    await this.#session.rollbackDatabase()
    this.#session.end('its transaction was committed, with nothing to commit in it')
  }

  async tpcVote(): Promise<void> {
    await this.#group.vote()
  }

  async tpcFinish(): Promise<void> {
    await this.#group.finish()
  }

  async tpcAbort(): Promise<void> {
    await this.#group.giveUp(this.#session)
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
