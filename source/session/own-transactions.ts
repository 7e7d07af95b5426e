import type { SqlEntityManager } from '@mikro-orm/sql'
import type { ControlledTransaction } from 'kysely'
import { TransactionAbortedError } from '../database/errors.ts'
import { holdElsewhere } from '../database/held-elsewhere.ts'
import { behindFlush } from './operations.ts'
import { sessionOfEntityManager, type Session } from './session.ts'

/** The callback of em.transactional() where MikroORM begins a transaction for it, and ends that. */
export function inOwnTransaction(session: Session, work: (em: any) => any): (em: any) => Promise<any> {
  return async (em: SqlEntityManager) => {
    const leave = em.isInTransaction() ? noteHeld(session) : undefined
    try {
      return await refusingLost(session, em, work)
    } finally {
      leave?.()
    }
  }
}

/** MikroORM takes the COMMIT of a transaction that an error has broken off for one, and PostgreSQL rolls back. */
async function refusingLost(session: Session, em: SqlEntityManager, work: (em: any) => any): Promise<any> {
  const doubts = session.passing.doubts ?? 0
  const result = await work(em)
  if (session.passing.doubts === doubts || !em.isInTransaction()) return result
  await em.flush()
  try {
    await em.execute('select 1')
  } catch (error) {
    throw new TransactionAbortedError(session.role, error)
  }
  return result
}

/** Does `begin`, which is MikroORM's, behind the flush beside it. Its session ends it where nobody does. */
export async function begunByHand(em: SqlEntityManager, begin: () => Promise<void>): Promise<void> {
  await behindFlush(em, begin)
  const session = sessionOfEntityManager(em)
  const transaction: ControlledTransaction<any> | undefined = em.getTransactionContext()
  if (session?.em !== em || transaction === undefined) return
  ;(session.core.begun ??= []).push({ transaction, leave: noteHeld(session) })
}

/** Ends it by `end`. `inAnyCase`: it is over, also where that fails. */
export async function endedByHand(em: SqlEntityManager, end: () => Promise<void>, inAnyCase = false): Promise<void> {
  // A commit would store what em.transactional() has done so far, also where that fails afterwards.
  if (!inAnyCase) assertNoneNested(em, 'em.commit()')
  let isOver = inAnyCase
  try {
    await behindFlush(em, end)
    isOver = true
  } finally {
    const session = sessionOfEntityManager(em)
    if (isOver && session?.em === em) session.core.begun?.pop()?.leave?.()
  }
}

/** Its session, if it has one. @throws NestedTransactionOpenError while em.transactional() of that is under way */
export function assertNoneNested(em: SqlEntityManager, what: string): Session | undefined {
  const session = sessionOfEntityManager(em)
  if (session?.em === em) session.statements.assertNotNested(what)
  return session
}

function noteHeld({ core, em }: Session): (() => void) | undefined {
  const { user } = core.options.unit
  return user && holdElsewhere(em.getDriver().getConnection('write'), user)
}
