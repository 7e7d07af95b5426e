import type { AnyEntity, EntityManager } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { sessionOfEntity } from '../session/entity-ownership.ts'
import { sessionOfEntityManager } from '../session/session.ts'
import type { Session } from '../session/session.ts'

/**
 * The open session (an entity manager, as in `ctx.dbSession.<role>`) that manages `entity`. Undefined if none does: before the
 * first flush, after `em.clear()`, a removal or a rollback, and after the end of the session.
 */
export function sessionOf(entity: object): SqlEntityManager | undefined {
  return sessionOfEntity(entity)?.em
}

/**
 * Returns the owner of an open session, or of the session of an entity: the Koa `ctx` in a request, the option `owner` in a
 * run. Undefined for an entity or entity manager of no open session.
 */
export function requestOf(entityOrSession: object): unknown {
  return findSession(entityOrSession)?.owner
}

function findSession(entityOrSession: object): Session | undefined {
  if ((entityOrSession as AnyEntity).__helper !== undefined) return sessionOfEntity(entityOrSession)
  const session = sessionOfEntityManager(entityOrSession as EntityManager)
  return session?.ended === true ? undefined : session
}
