import type { EntityManager } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { ControlledTransaction } from 'kysely'
import type { ConnectionUser } from '../database/connection-waits.ts'
import { holdElsewhere } from '../database/held-elsewhere.ts'
import { sessionOfEntityManager } from '../session/session.ts'
import { transactionHere } from './mikro-orm-contexts.ts'
import { runningUser } from './unit-scope.ts'

const known = new WeakMap<EntityManager, PlainTransaction>()

/** The transaction outside of sessions that the running code is in, by the callback of em.transactional(). */
export function plainTransactionHere(): PlainTransaction | undefined {
  const em = transactionHere()
  if (em === undefined || sessionOfEntityManager(em) !== undefined || !em.isInTransaction()) return undefined
  let transaction = known.get(em)
  if (transaction === undefined) known.set(em, (transaction = new PlainTransaction(em as SqlEntityManager)))
  return transaction.isOver ? undefined : transaction
}

/** A transaction that MikroORM began outside of sessions, for those who wait for its connection. */
class PlainTransaction implements ConnectionUser {
  readonly name = 'em.transactional() outside of sessions'
  readonly number = 0
  readonly usedBy = undefined
  readonly running = undefined
  readonly isBusy = false
  readonly steps = 0
  readonly #em: SqlEntityManager
  readonly #startedIn = runningUser()
  /** The units in it. */
  #count = 0
  #leave: (() => void) | undefined

  constructor(em: SqlEntityManager) {
    this.#em = em
  }

  get startedIn(): ConnectionUser | undefined {
    return this.#startedIn?.isOver === false ? this.#startedIn : undefined
  }

  get isOver(): boolean {
    const transaction: ControlledTransaction<any> | undefined = this.#em.getTransactionContext()
    return transaction === undefined || transaction.isCommitted || transaction.isRolledBack
  }

  /** Does `work`, of a unit that is started in it. */
  async during<T>(work: Promise<T>): Promise<T> {
    if (this.#count++ === 0) this.#leave = holdElsewhere(this.#em.getDriver().getConnection('write'), this)
    try {
      return await work
    } finally {
      if (--this.#count === 0) this.#leave?.()
    }
  }
}
