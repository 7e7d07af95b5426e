import { hasChanges, isToBeValidated } from '../session/has-changes.ts'
import type { Session } from '../session/session.ts'
import type { Transaction } from '../transaction/index.ts'
import type { Engine } from '../role/engine.ts'
import { report } from '../transaction/warnings.ts'

/** A session that no transaction manager ends, and the transaction that was under way when it was opened. */
interface Independent {
  readonly session: Session
  readonly engine: Engine
  readonly transaction: Transaction | undefined
}

const ENDING = 'its request or run ended'

/** The sessions of a unit of work that no transaction manager ends: of roles that only read, or commit on their own. */
export class IndependentSessions {
  readonly #list: Independent[] = []

  /** Whether a session of a writing role is open, or one of a read-only role was changed. */
  get needsCommit(): boolean {
    const open = this.#list.filter(({ session }) => !session.ended)
    return open.some(({ engine }) => engine.rules.writes) || open.some(({ session }) => hasChanges(session.em))
  }

  add(independent: Independent): void {
    this.#list.push(independent)
  }

  /**
   * Throws if an entity of a read-only role was changed. Skipped when `lost` says that the transaction beside it was aborted.
   * @throws ReadOnlySessionError
   */
  async flushReaders(lost: (transaction: Transaction | undefined) => boolean): Promise<void> {
    for (const { session, engine, transaction } of this.#list) {
      if (session.ended || engine.rules.writes || lost(transaction)) continue
      if (hasChanges(session.em)) await session.flush()
    }
  }

  /**
   * Throws before the transaction commits if a writing role can no longer commit, or its reads do not hold. Roles with bestEffort are skipped.
   * @throws the error that keeps a role from committing
   */
  async assertCommittable(): Promise<void> {
    for (const { session, engine } of this.#list) {
      if (session.ended || !engine.rules.writes || engine.options.bestEffort) continue
      try {
        await assertCommittable(session)
      } catch (error) {
        await session.abandon(ENDING)
        throw error
      }
    }
  }

  /** Commits the writing roles, or rolls them back when the work is attempted again. Returns the errors not reported. */
  async endWriters(again: boolean): Promise<unknown[]> {
    const failures: unknown[] = []
    for (const { session, engine } of this.#list) {
      if (session.ended || !engine.rules.writes) continue
      try {
        await endWriter(session, again)
      } catch (error) {
        if (engine.options.bestEffort) report(error, `the best-effort role "${engine.role}" could not commit`)
        else failures.push(error)
      }
    }
    return failures
  }

  /** Whether a session of a read-only role is open. */
  get hasReaders(): boolean {
    return this.#list.some(({ session, engine }) => !session.ended && !engine.rules.writes)
  }

  /**
   * Ends the sessions that are left. Waits for sessions that may hold locks. `unread`: nobody waits for their statements,
   * which are cancelled.
   */
  endReaders(unread: boolean): Promise<unknown> | undefined {
    let rollbacks: Promise<void>[] | undefined
    for (const { session } of this.#list) {
      if (session.ended) continue
      if (unread) session.giveUp(ENDING)
      const rollback = session.rollbackDatabase()
      if (rollback !== undefined) (rollbacks ??= []).push(rollback)
      session.end(ENDING)
    }
    return rollbacks === undefined ? undefined : Promise.all(rollbacks)
  }
}

async function assertCommittable(session: Session): Promise<void> {
  const idle = session.idle()
  if (idle !== undefined) await idle
  session.core.life.assertNotFailed()
  session.statements.assertAllEnded()
  if (session.transaction.needsCommit) await session.transaction.assertCommittable()
  else if (isToBeValidated(session)) await session.commits.commitAndContinue()
}

async function endWriter(session: Session, again: boolean): Promise<void> {
  if (again) return await session.abandon(ENDING)
  try {
    await session.commits.commitAlone()
    if (session.transaction.needsCommit) session.end(ENDING)
    else await session.endUnchanged(ENDING)
  } catch (error) {
    await session.abandon(ENDING)
    throw error
  }
}
