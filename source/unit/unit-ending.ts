import type { Transaction } from '../transaction/index.ts'
import type { MaybeLater } from '../transaction/maybe-later.ts'
import { report } from '../transaction/warnings.ts'
import type { IndependentSessions } from './independent-sessions.ts'
import type { LazyTransaction } from './lazy-transaction.ts'
import type { Ended, RetryDecision } from './retry-decision.ts'
import type { AbortReason, UnitEndFacts } from './unit-channels.ts'
import type { UnitLife } from './unit-life.ts'
import type { UnitSessions } from './unit-sessions.ts'

/** How a unit of work ends. */
export type Ending = Pick<UnitEndFacts, 'outcome'> & Partial<Pick<UnitEndFacts, 'reason' | 'error'>>

/** The unit of work that ends. */
interface EndingUnit {
  transaction(): Transaction | undefined
  end(ending: Ending): MaybeLater
}

interface UnitParts {
  readonly unit: EndingUnit
  readonly life: UnitLife
  readonly lazy: LazyTransaction
  readonly sessions: UnitSessions
  readonly retry: RetryDecision
}

/** Ends the transaction of a unit of work, and the sessions that do not belong to the transaction. */
export class UnitEnding {
  readonly #unit: EndingUnit
  readonly #life: UnitLife
  readonly #lazy: LazyTransaction
  readonly #sessions: UnitSessions
  readonly #retry: RetryDecision

  constructor({ unit, life, lazy, sessions, retry }: UnitParts) {
    this.#unit = unit
    this.#life = life
    this.#lazy = lazy
    this.#sessions = sessions
    this.#retry = retry
  }

  /**
   * Ends the unit of work by a commit: at once, without a promise, where there is nothing to wait for.
   * @throws the first error: of the transaction, which is then aborted, else of an autonomous session
   */
  commit(): MaybeLater {
    if (this.#lazy.isUnbegun && this.#sessions.independent?.needsCommit !== true) {
      this.#lazy.drop()
      return this.#unit.end({ outcome: 'committed' })
    }
    return this.#finish({ outcome: 'committed' }, (transaction) => {
      // What was under way may have opened some.
      const { independent } = this.#sessions
      return independent === undefined ? transaction?.commit() : this.#commitBeside(independent, transaction)
    })
  }

  async #commitBeside(independent: IndependentSessions, transaction: Transaction | undefined): Promise<void> {
    await independent.assertCommittable()
    await independent.flushReaders((beside) => this.#isLost(beside, transaction))
    // A subscriber of that flush may have asked for it only now.
    await this.#unit.transaction()?.commit()
  }

  /** True if the handler aborted the transaction itself; changes through read-only roles are no error then. */
  #isLost(beside: Transaction | undefined, current: Transaction | undefined): boolean {
    const transaction = beside ?? this.#lazy.first
    return transaction !== undefined && transaction !== current && transaction.status !== 'Committed'
  }

  /** Ends the unit of work by an abort. @throws the first error */
  async abort(reason: AbortReason): Promise<void> {
    await this.#finish({ outcome: 'aborted', reason }, (transaction) => transaction?.abort())
  }

  /** Ends the unit of work by an abort because of `error`, unless it has ended. Reports other errors. Never rejects. */
  async abortBecauseOf(error: unknown): Promise<Ended> {
    if (this.#life.ended) return this.#retry.endedBy(error)
    const reason = this.#life.cancelled === undefined ? 'failed' : 'cancelled'
    try {
      await this.#finish({ outcome: 'aborted', reason, error }, () => this.#abortTransaction(error))
    } catch (later) {
      if (later !== error) report(later, `while aborting because of: ${String(error)}`)
    }
    return this.#retry.endedBy(error)
  }

  /** Aborts, and decides about another attempt. Those who know whether it is worth one are asked before. */
  async #abortTransaction(error: unknown): Promise<void> {
    try {
      const mayRetry = this.#retry.isAttempted && this.#life.cancelled === undefined
      const isWorthIt = mayRetry && (await this.#retry.isWorthIt(error, () => this.#unit.transaction()))
      await this.#whatIsUnderWay()
      await this.#unit.transaction()?.abort()
      if (!isWorthIt) return
      await this.#sessions.settled()
      this.#retry.decide(error)
    } catch (later) {
      if (later !== error) report(later, `while aborting because of: ${String(error)}`)
    }
  }

  /** A commit that was called meanwhile is not to be broken off. */
  async #whatIsUnderWay(): Promise<void> {
    while (this.#unit.transaction()?.underWay !== undefined)
      await Promise.allSettled([this.#unit.transaction()?.underWay])
  }

  /** Ends the transaction, then, also after an error, the sessions that do not belong to it. */
  async #finish(plan: Ending, endTransaction: (transaction: Transaction | undefined) => MaybeLater): Promise<void> {
    let failures: unknown[] = []
    this.#life.moveTo('ending')
    if (this.#life.aborting !== undefined) await this.#life.aborting
    let ending: Ending = plan
    let hasJoined = false
    try {
      // commit(), abort() or savepoint() that the handler called and did not await: their failure is the unit's.
      const underWay = this.#unit.transaction()?.underWay
      if (underWay !== undefined) await underWay
      hasJoined = true
      const transaction = this.#unit.transaction()
      const wasEnded = transaction === undefined && this.#life.aborting === undefined && !this.#lazy.isUnbegun
      if (wasEnded) ending = { ...plan, outcome: 'ended' }
      const ended = endTransaction(transaction)
      if (ended !== undefined) await ended
    } catch (error) {
      if (plan.outcome === 'committed' || !hasJoined) await this.#abortTransaction(error)
      failures.push(error)
      ending = { outcome: 'aborted', reason: plan.reason ?? 'failed' }
    }
    this.#lazy.drop()
    const { independent } = this.#sessions
    if (independent !== undefined) failures = [...failures, ...(await independent.endWriters(this.#retry.again))]
    // A role may have committed by em.commit() after the decision.
    this.#retry.confirm(failures[0])
    const closing = this.#unit.end({ error: failures[0], ...ending })
    if (closing !== undefined) await closing
    for (const later of failures.slice(1)) report(later, `after: ${String(failures[0])}`)
    if (failures.length > 0) throw failures[0]
  }
}
