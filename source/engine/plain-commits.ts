import { CommitOutcomeUnknownError } from '../session/errors.ts'
import { savepointIsGone } from '../session/session-savepoints.ts'
import { isRetryable } from '../session/retryable.ts'
import type { Session } from '../session/session.ts'
import type { DataManager, DataManagerSavepoint, Transaction } from '../transaction/index.ts'
import { commitError } from './errors.ts'

/**
 * Stands in for all sessions of a unit of work while transactions are disabled: commits them one by one, in the order
 * they were opened, each with its own plain COMMIT.
 */
export class PlainCommits implements DataManager {
  readonly #sessions: Session[] = []
  /** The transaction that it left when a savepoint older than itself was rolled back. */
  #left: Transaction | undefined

  add(session: Session): void {
    this.#left?.join(this)
    this.#left = undefined
    this.#sessions.push(session)
  }

  sortKey(): string {
    return '~mikro-orm'
  }

  tpcBegin(): void {}

  commit(): void {}

  /** @throws PartialCommitError when there are several, one fails, and another may be committed; else the error itself */
  async tpcVote(): Promise<void> {
    const committed: string[] = []
    for (const session of this.#sessions) {
      if (session.ended) continue
      try {
        await session.commitAlone()
      } catch (error) {
        throw this.#failed(session, committed, error)
      }
      if (session.state === 'changed') committed.push(session.role)
      session.end('its session was committed')
    }
  }

  #failed(failed: Session, committed: readonly string[], error: unknown): unknown {
    if (this.#sessions.length === 1) return error
    const isUnknown = error instanceof CommitOutcomeUnknownError
    const left = this.#sessions.filter((session) => !session.ended && !(isUnknown && session === failed))
    const rolledBack = left.map(({ role }) => role)
    return commitError(failed.role, { committed, rolledBack, unknown: isUnknown ? [failed.role] : [] }, error)
  }

  tpcFinish(): void {}

  /** Rolled back, it takes every session back, and ends those opened since. */
  async savepoint(): Promise<DataManagerSavepoint> {
    const parts: DataManagerSavepoint[] = []
    for (const session of this.#sessions) parts.push(await session.savepoint())
    return {
      rollback: async () => {
        await this.#undo(this.#sessions.splice(parts.length), true)
        for (const part of parts) await part.rollback()
      },
    }
  }

  shouldRetry(error: unknown): boolean {
    return isRetryable(error)
  }

  tpcAbort(): void {}

  /** @throws InvalidSavepointRollbackError where a savepoint is rolled back, and a session has committed since */
  async abort(transaction: Transaction): Promise<void> {
    this.#left = transaction
    await this.#undo(this.#sessions.splice(0), transaction.isRollingBack)
  }

  async #undo(sessions: readonly Session[], isRollback: boolean): Promise<void> {
    const committed = sessions.find(({ ended, commits }) => !ended && commits > 0)
    for (const session of sessions) await session.abandon('its session was rolled back')
    if (isRollback && committed !== undefined) throw savepointIsGone(committed.role)
  }
}
