import { helper } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Session } from './session.ts'

/** The flush under way on an entity manager, and what it may have come too early for. */
const FLUSH = Symbol('koa-sqlassist flush')

interface Flush {
  readonly done: Promise<void>
  late: Scheduled[] | undefined
}
interface Scheduled {
  readonly entity: object
  readonly how: 'persist' | 'remove'
}

export type Flushing = SqlEntityManager & { [FLUSH]?: Flush | undefined }

/**
 * Flushes `em` by `flush`. MikroORM leaves a flush behind another one unanswered when the first one fails, and what it was
 * to write is lost then; so it fails as well. And at its end MikroORM forgets what was scheduled while it was under way, by a
 * subscriber for instance: that is scheduled again
 * (https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/unit-of-work/UnitOfWork.ts).
 */
export async function flushInTurn(em: Flushing, session: Session, flush: () => Promise<void>): Promise<void> {
  const context = em.getTransactionContext()
  const ahead = em[FLUSH]
  const flushing = flush()
  if (ahead === undefined) em[FLUSH] = { done: flushing, late: undefined }
  try {
    await (ahead === undefined ? flushing : Promise.race([flushing, ahead.done.then(() => flushing)]))
  } catch (error) {
    if (ahead === undefined) em[FLUSH] = undefined
    session.noteFailedFlush(error, context)
    throw error
  }
  if (ahead === undefined) scheduleAgain(em)
}

/** Notes what the program schedules while a flush of `em` is under way. */
export function noteScheduled(em: Flushing, given: unknown, how: Scheduled['how']): void {
  const flush = em[FLUSH]
  if (flush === undefined) return
  for (const entity of [given].flat() as object[]) (flush.late ??= []).push({ entity, how })
}

function scheduleAgain(em: Flushing): void {
  const late = em[FLUSH]?.late
  em[FLUSH] = undefined
  for (const { entity, how } of late ?? []) {
    if (how === 'persist' && isNew(entity)) em.persist(entity)
    if (how === 'remove' && isThere(em, entity)) em.remove(entity)
  }
}

/** A reference by itself is no entity. */
function isNew(entity: object): boolean {
  const wrapped = helper(entity)
  return wrapped !== undefined && wrapped.__originalEntityData === undefined && wrapped.__initialized
}

function isThere(em: Flushing, entity: object): boolean {
  const uow = em.getUnitOfWork(false)
  return uow.getIdentityMap().getByEntity(entity as never) === entity || uow.getPersistStack().has(entity as never)
}
