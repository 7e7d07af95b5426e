import { hasChanges } from '../session/has-changes.ts'
import type { Session } from '../session/session.ts'
import type { Transaction } from '../transaction/index.ts'
import type { Engine } from '../role/role.ts'
import { report } from '../transaction/warnings.ts'

/** A session that no transaction manager ends, and the transaction that it was opened beside, where there was one yet. */
interface Independent {
  readonly session: Session
  readonly engine: Engine
  readonly transaction: Transaction | undefined
}

const ENDING = 'its request or run ended'

/** The sessions of a unit of work that no transaction manager ends: those that only read, or commit by themselves. */
export class IndependentSessions {
  readonly #list: Independent[] = []

  /** Whether one of them writes, or was changed although it only reads. */
  get needsCommit(): boolean {
    const open = this.#list.filter(({ session }) => !session.ended)
    return open.some(({ engine }) => engine.rules.writes) || open.some(({ session }) => hasChanges(session.em))
  }

  add(independent: Independent): void {
    this.#list.push(independent)
  }

  /**
   * Nothing else would tell that what was changed through a read-only role goes nowhere. `lost` says of the transaction
   * beside it whether it was aborted, when nothing is lost that was not to be.
   * @throws ReadOnlySessionError
   */
  async flushReaders(lost: (transaction: Transaction | undefined) => boolean): Promise<void> {
    for (const { session, engine, transaction } of this.#list) {
      if (session.ended || engine.rules.writes || lost(transaction)) continue
      if (hasChanges(session.em)) await session.flush()
    }
  }

  /**
   * Before the transaction commits: a role that writes, and can no longer commit, keeps the rest from being committed, unless
   * it is bestEffort.
   * @throws what keeps it from committing
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

  /** Commits those that write, or rolls them back where the same work is attempted again. The errors that were not reported. */
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

  /** Whether one of them that only reads is open. */
  get hasReaders(): boolean {
    return this.#list.some(({ session, engine }) => !session.ended && !engine.rules.writes)
  }

  /**
   * Ends those that are left. What may hold locks is waited for. `unread`: nobody waits for what they do, so that it is
   * cancelled.
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
  session.assertNotFailed()
  session.assertNotNested('The end of its request or run')
  if (session.transaction.needsCommit) await session.transaction.assertCommittable()
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
