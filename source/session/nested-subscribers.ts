import { EventManager, EventType, type EventSubscriber } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { report } from '../transaction/warnings.ts'
import type { Session } from './session.ts'
import { onlyItsEnd } from './transaction-events.ts'

/**
 * What the program registers inside of a nested transaction to hear of the end of that. MikroORM would call it a commit when
 * the savepoint is released, and all of it may still be undone.
 */

/** A nested transaction has become part of the one around it: its own subscribers hear of the end of that. */
export function hearOfTheEnd(session: Session, em: SqlEntityManager, nested: SqlEntityManager): void {
  for (const subscriber of subscribersOf(session, em, nested)) {
    if (em === session.em) session.transaction.events.adopt(subscriber)
    else em.getEventManager().registerSubscriber(subscriber)
  }
}

/** A nested transaction was rolled back: its own subscribers hear of that. */
export async function hearOfRollback(session: Session, em: SqlEntityManager, nested: SqlEntityManager): Promise<void> {
  const subscribers = subscribersOf(session, em, nested)
  if (subscribers.length === 0) return
  const manager = new EventManager(subscribers)
  try {
    for (const event of [EventType.beforeTransactionRollback, EventType.afterTransactionRollback] as const) {
      await manager.dispatchEvent(event, { em: nested, uow: nested.getUnitOfWork(false) })
    }
  } catch (error) {
    report(error, `the rollback of em.transactional() of the session of role "${session.role}"`)
  }
}

function subscribersOf(session: Session, em: SqlEntityManager, nested: SqlEntityManager): EventSubscriber[] {
  // There it is MikroORM's outermost transaction, of which MikroORM sends the events.
  if (em === session.em && session.leavesTransactionsToMikroOrm) return []
  const around = em.getEventManager().getSubscribers()
  const own = Array.from(nested.getEventManager().getSubscribers()).filter((subscriber) => !around.has(subscriber))
  return own.flatMap(onlyItsEnd)
}
