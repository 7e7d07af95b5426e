import type { DataManager, DataManagerSavepoint } from '../transaction/index.ts'
import { CommittedTooEarlyError } from './errors.ts'
import { isRetryable } from './retryable.ts'
import type { Session } from './session.ts'

/**
 * Carries a session through a commit in one phase: the real COMMIT happens in the vote, which is why these come last.
 *
 * As zope.sqlalchemy's: flush in tpcBegin, an unchanged session is rolled back in commit, a changed one is committed in
 * tpcVote.
 */
export class OnePhaseDataManager implements DataManager {
  readonly #session: Session
  #committed = false

  constructor(session: Session) {
    this.#session = session
  }

  sortKey(): string {
    return `~mikro-orm:${this.#session.role}`
  }

  async tpcBegin(): Promise<void> {
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
    if (this.#session.ended) return
    await this.#session.commitDatabase()
    this.#committed = true
    this.#session.end('its transaction was committed')
  }

  tpcFinish(): void {}

  tpcAbort(): void {
    if (this.#committed) throw new CommittedTooEarlyError(this.#session.role)
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
