import { helper } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { forgetDeleted } from './nested-entities.ts'
import type { Kysely } from 'kysely'

/** The session that a flush is of. */
interface FlushHost {
  /** Undefined where there were no nested transactions. */
  readonly savepoints: object | undefined
  noteFailedFlush(error: unknown, context: Kysely<any> | undefined): void
}

/** The flush under way on an entity manager, and what it may have come too early for. */
const FLUSH = Symbol('koa-sqlassist flush')

interface Flush {
  /** What comes of it, for those who wait for it. */
  done: PromiseWithResolvers<void> | undefined
  late: Scheduled[] | undefined
}
interface Scheduled {
  readonly entity: object
  readonly how: 'persist' | 'remove'
}

export type Flushing = SqlEntityManager & { [FLUSH]?: Flush | undefined }

/**
 * Flushes `em` by `flush`, one flush after the other. When a flush fails, MikroORM leaves the one behind it unanswered,
 * and what that one was to write is lost; so it fails as well.
 *
 * MikroORM forgets at the end of a flush what was scheduled while the flush was under way, by a subscriber for
 * instance. All of that is scheduled again
 * (https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/unit-of-work/UnitOfWork.ts).
 *
 * `isInside`: a flush of the same session is the caller, which MikroORM refuses.
 */
export async function flushInTurn(
  em: Flushing,
  session: FlushHost,
  flush: () => Promise<void>,
  isInside: boolean,
): Promise<void> {
  if (isInside) return await flush()
  while (em[FLUSH] !== undefined) await outcomeOf(em[FLUSH])
  const own: Flush = { done: undefined, late: undefined }
  em[FLUSH] = own
  const context = em.getTransactionContext()
  try {
    // Without nested transactions there is one entity manager.
    if (session.savepoints !== undefined) forgetDeleted(em)
    await flush()
    // Refused where the session has ended meanwhile.
    scheduleAgain(em)
  } catch (error) {
    em[FLUSH] = undefined
    session.noteFailedFlush(error, context)
    own.done?.reject(error)
    throw error
  }
  own.done?.resolve()
}

function outcomeOf(flush: Flush): Promise<void> {
  flush.done ??= Promise.withResolvers()
  return flush.done.promise
}

/** Waits for the flush of `em` that is under way, also where it fails. */
export function flushUnderWay(em: Flushing): Promise<void> | undefined {
  return em[FLUSH] === undefined ? undefined : outcomeOf(em[FLUSH]).catch(() => undefined)
}

/** Has flushes of `em` wait for `work`, which brings its entities back to what their rows hold, and does not flush. */
export async function holdingFlushes(em: Flushing, work: Promise<void>): Promise<void> {
  if (em[FLUSH] !== undefined) return await work
  const held: Flush = { done: undefined, late: undefined }
  em[FLUSH] = held
  try {
    await work
  } finally {
    em[FLUSH] = undefined
    held.done?.resolve()
  }
}

/** Nothing that was scheduled while a flush of `em` is under way is to be written any more. */
export function forgetScheduled(em: Flushing): void {
  if (em[FLUSH] !== undefined) em[FLUSH].late = undefined
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

/** A reference that is not loaded is no entity. */
function isNew(entity: object): boolean {
  const wrapped = helper(entity)
  return wrapped !== undefined && wrapped.__originalEntityData === undefined && wrapped.__initialized
}

function isThere(em: Flushing, entity: object): boolean {
  const uow = em.getUnitOfWork(false)
  return uow.getIdentityMap().getByEntity(entity as never) === entity || uow.getPersistStack().has(entity as never)
}
