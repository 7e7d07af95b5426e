import { SessionEndedError } from './errors.ts'
import type { DatabaseTransaction } from './database-transaction.ts'
import { hasChanges } from './has-changes.ts'
import { NestedTransactionOpenError } from './nested-errors.ts'
import { Rounds } from './rounds.ts'
import type { SessionCore } from './session-core.ts'
import type { SessionStatements } from './session-statements.ts'

/** The commits and rollbacks of one session alone: by the program, and at its end where no transaction manager commits it. */
export class OwnCommits {
  readonly #core: SessionCore
  readonly #statements: SessionStatements
  #count = 0
  /** The last em.commit() or em.rollback() under way; it never rejects. */
  #underWay: Promise<void> | undefined

  constructor(core: SessionCore, statements: SessionStatements) {
    this.#core = core
    this.#statements = statements
  }

  /** How often the program committed. */
  get count(): number {
    return this.#count
  }

  /** Waits for the commit or rollback that was called before, if one is under way. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay
  }

  /** Flushes and commits, or rolls back what did not change: the whole of a commit for a session nobody coordinates. */
  async commitAlone(): Promise<void> {
    await this.#inTurn(() => this.#commitAtEnd())
  }

  async #commitAtEnd(): Promise<void> {
    const core = this.#core
    core.assertUsable()
    try {
      await this.#settle()
      this.#statements.assertAllEnded()
      core.transaction.seal()
      await this.#finish(core.transaction)
      await core.transaction.events.afterCommit()
    } finally {
      await core.rollBack(core.transaction)
    }
  }

  async #finish(transaction: DatabaseTransaction): Promise<void> {
    try {
      if (!transaction.needsCommit) await transaction.settleUnmarkedWrites()
      if (!transaction.needsCommit) return transaction.needsValidation ? await transaction.validate() : undefined
      await transaction.assertCommittable()
      await transaction.commit()
    } finally {
      await this.#core.rollBack(transaction)
    }
  }

  /** `em.commit()` where nobody coordinates. What comes meanwhile is in the next transaction. */
  async commitAndContinue(): Promise<void> {
    await this.#inTurn(() => this.#commitByHand())
  }

  async #commitByHand(): Promise<void> {
    const core = this.#core
    this.#statements.refuseNested('em.commit()')
    try {
      await this.#settle()
      this.#statements.assertNotNested('em.commit()')
      await this.#commitAndReplace()
    } catch (error) {
      // A refusal loses nothing of the session.
      const isRefusal = error instanceof NestedTransactionOpenError || error instanceof SessionEndedError
      if (!isRefusal) core.fail(error)
      throw error
    }
  }

  async #commitAndReplace(): Promise<void> {
    const finished = this.#core.transaction
    // The unit of the transaction commits it at this moment.
    if (finished.statements.isSealed) throw this.#core.tooLate()
    finished.seal()
    const committing = this.#finish(finished)
    this.#count++
    const over = committing.catch(() => undefined)
    this.#core.replaceTransaction({ whenOver: () => over })
    await committing
    await finished.events.afterCommit()
  }

  /** Flushes until nothing is left, also of what is done by those who hear that it will be committed. */
  async #settle(): Promise<void> {
    const core = this.#core
    const rounds = new Rounds(core.role)
    for (await this.#flushAll(); !core.isIdle; rounds.next()) await this.#flushAll()
    const announcing = core.transaction.announceCommit()
    if (announcing !== undefined && (await announcing)) await this.#settle()
  }

  async #flushAll(): Promise<void> {
    const core = this.#core
    await core.idle()
    await core.em.flush()
    for (const rounds = new Rounds(core.role); !core.isIdle || hasChanges(core.em); rounds.next()) {
      if (!(await core.settle()) && core.isIdle) return
    }
  }

  /** `em.rollback()`: this session alone; it stays joined and usable, and forgets what it had loaded. */
  async rollbackAndContinue(): Promise<void> {
    await this.#inTurn(() => this.#rollBackByHand())
  }

  async #rollBackByHand(): Promise<void> {
    const core = this.#core
    // A flush that goes on would be in the next transaction.
    for (const rounds = new Rounds(core.role); !core.life.hasFailed && !core.isIdle; rounds.next()) await core.idle()
    if (core.life.hasFailed) this.#statements.assertNotNested('em.rollback()')
    else this.#statements.refuseNested('em.rollback()')
    core.life.recover()
    if (core.leavesTransactionsToMikroOrm) core.em.resetTransactionContext()
    core.forget()
    core.savepoints?.forgetStrays()
    await core.startOver()
  }

  /** One after the other, in the order in which they were called. */
  async #inTurn(end: () => Promise<void>): Promise<void> {
    const ahead = this.#core.activity.isInside ? undefined : this.#underWay
    const ending = ahead === undefined ? end() : ahead.then(end)
    const over = ending.catch(() => undefined)
    this.#underWay = over
    try {
      await ending
    } finally {
      if (this.#underWay === over) this.#underWay = undefined
    }
  }
}
