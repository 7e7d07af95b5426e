import type { DataManager, DataManagerSavepoint, Transaction } from '../transaction/index.ts'
import type { CommitGroup } from './commit-group.ts'
import { isRetryable } from '../database/retryable.ts'
import type { Session } from './session.ts'

/**
 * Carries a session through a commit, as zope.sqlalchemy's does. Flushes the session in tpcBegin; with
 * `pipelineCommit`, COMMIT goes along where nobody else has a vote. Sessions come last among the resources, so that
 * theirs is the last vote. In it the group flushes what came up since, judges who changed, and commits them.
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

  get label(): string {
    return `session ${this.#session.role}`
  }

  sortKey(): string {
    return `~mikro-orm:${this.#session.role}`
  }

  tpcBegin(transaction: Transaction): Promise<void> {
    const session = this.#session
    this.#group.enter()
    session.assertNotNested('The commit')
    const isAlone = this.#pipelines && transaction.resourceCount === 1
    const flush = (): Promise<void> => (isAlone ? session.flushAndCommit() : session.flush())
    const idle = session.idle()
    return idle === undefined ? flush() : idle.then(flush)
  }

  commit(): void {}

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

  savepointAtJoin(): DataManagerSavepoint {
    return this.#session.savepointAtJoin()
  }

  shouldRetry(error: unknown): boolean {
    return isRetryable(error)
  }

  async abort(): Promise<void> {
    await this.#session.abandon('its transaction was aborted')
  }
}
