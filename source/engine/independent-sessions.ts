import { hasChanges } from '../session/has-changes.ts'
import type { Session } from '../session/session.ts'
import type { Transaction } from '../transaction/index.ts'
import type { Engine } from './engine.ts'
import { report } from './report.ts'

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
    return (
      open.some(({ session }) => session.state !== 'readonly') || open.some(({ session }) => hasChanges(session.em))
    )
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
    for (const { session, transaction } of this.#list) {
      if (session.ended || session.state !== 'readonly' || lost(transaction)) continue
      if (hasChanges(session.em)) await session.flush()
    }
  }

  /** Commits those that write, or rolls them back where the same work is attempted again. The errors that were not reported. */
  async endWriters(again: boolean): Promise<unknown[]> {
    const failures: unknown[] = []
    for (const { session, engine } of this.#list) {
      if (session.ended || session.state === 'readonly') continue
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
    return this.#list.some(({ session }) => !session.ended && session.state === 'readonly')
  }

  /** Ends those that are left. `unread`: nobody waits for what they do, so that it is cancelled. */
  endReaders(unread: boolean): void {
    for (const { session } of this.#list) {
      if (session.ended) continue
      if (unread) session.giveUp(ENDING)
      void session.rollbackDatabase()
      session.end(ENDING)
    }
  }
}

async function endWriter(session: Session, again: boolean): Promise<void> {
  try {
    if (again) await session.rollbackDatabase()
    else await session.commitAlone()
  } finally {
    session.end(ENDING)
  }
}
