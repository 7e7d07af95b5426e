import { CommitOutcomeUnknownError } from '../database/errors.ts'
import { isRetryable } from '../database/retryable.ts'
import { isToBeValidated } from '../session/has-changes.ts'
import type { Session } from '../session/session.ts'
import type { DataManager, DataManagerSavepoint } from '../transaction/index.ts'
import { commitError } from '../atomic/errors.ts'

/**
 * Stands in for all sessions of a unit of work while transactions are disabled. Commits them one by one, each with its own
 * plain COMMIT: first those whose reads have to be validated, then in the order of their opening.
 */
export class OneByOneCommits implements DataManager {
  readonly #sessions: Session[] = []
  /** The ways back to the opening of sessions that were opened after a savepoint. */
  readonly #beginnings = new Map<Session, DataManagerSavepoint>()
  #hasSavepoints = false

  add(session: Session): void {
    if (this.#hasSavepoints) this.#beginnings.set(session, session.savepointAtJoin())
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
    // Where the reads of one do not hold, nothing of another is to be stored.
    for (const session of this.#sessions.filter(isToBeValidated)) await this.#commit(session, committed)
    for (const session of this.#sessions) await this.#commit(session, committed)
  }

  async #commit(session: Session, committed: string[]): Promise<void> {
    if (session.ended) return
    try {
      await session.commits.commitAlone()
    } catch (error) {
      throw this.#failed(session, committed, error)
    }
    if (session.state === 'changed') committed.push(session.role)
    session.end('its session was committed')
  }

  #failed(failed: Session, committed: readonly string[], error: unknown): unknown {
    if (this.#sessions.length === 1) return error
    const isUnknown = error instanceof CommitOutcomeUnknownError
    const left = this.#sessions.filter((session) => !session.ended && !(isUnknown && session === failed))
    const rolledBack = left.map(({ role }) => role)
    return commitError(failed.role, { committed, rolledBack, unknown: isUnknown ? [failed.role] : [] }, error)
  }

  tpcFinish(): void {}

  /** A savepoint that takes every session back; sessions opened since go back to their beginning. */
  async savepoint(): Promise<DataManagerSavepoint> {
    this.#hasSavepoints = true
    const parts = new Map<Session, DataManagerSavepoint>()
    for (const session of this.#sessions) parts.set(session, await session.savepoint())
    return this.#wayBackTo(parts)
  }

  savepointAtJoin(): DataManagerSavepoint {
    this.#hasSavepoints = true
    return this.#wayBackTo(new Map())
  }

  #wayBackTo(parts: ReadonlyMap<Session, DataManagerSavepoint>): DataManagerSavepoint {
    return {
      rollback: async () => {
        for (const session of this.#sessions) await (parts.get(session) ?? this.#beginnings.get(session))?.rollback()
      },
    }
  }

  shouldRetry(error: unknown): boolean {
    return isRetryable(error)
  }

  tpcAbort(): void {}

  async abort(): Promise<void> {
    for (const session of this.#sessions.splice(0)) await session.abandon('its session was rolled back')
  }
}
