import type { SqlEntityManager } from '@mikro-orm/sql'
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

/** On an entity manager whose transaction the program began: notes its end. */
const LEAVE = Symbol('koa-sqlassist leave')

type Begun = SqlEntityManager & { [LEAVE]?: (() => void) | undefined }

/** Does `begin`, which is MikroORM's, and notes who holds a connection until {@link endedByHand}. */
export async function begunByHand(em: Begun, begin: () => Promise<void>): Promise<void> {
  const isNested = em.isInTransaction()
  await behindFlush(em, begin)
  const session = sessionOfEntityManager(em)
  if (session !== undefined && !isNested) em[LEAVE] = noteHeld(session)
}

export async function endedByHand(em: Begun, end: () => Promise<void>): Promise<void> {
  try {
    await behindFlush(em, end)
  } finally {
    if (!em.isInTransaction()) {
      em[LEAVE]?.()
      em[LEAVE] = undefined
    }
  }
}

function noteHeld({ core, em }: Session): (() => void) | undefined {
  const { user } = core.options.unit
  return user && holdElsewhere(em.getDriver().getConnection('write'), user)
}
