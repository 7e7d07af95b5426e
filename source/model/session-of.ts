import type { AnyEntity, EntityManager } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { sessionOfEntity } from '../session/entity-ownership.ts'
import { sessionOfEntityManager } from '../session/session.ts'
import type { Session } from '../session/session.ts'

/** The session (an entity manager, as in `ctx.dbSession.<role>`) that manages `entity`; undefined if none does. */
export function sessionOf(entity: object): SqlEntityManager | undefined {
  return sessionOfEntity(entity)?.em
}

/**
 * Returns the owner of a session, or of the session of an entity: the Koa `ctx` in a request. Undefined in a run, and for an
 * entity or entity manager of no session.
 */
export function requestOf(entityOrSession: object): unknown {
  return findSession(entityOrSession)?.owner
}

function findSession(entityOrSession: object): Session | undefined {
  if ((entityOrSession as AnyEntity).__helper !== undefined) return sessionOfEntity(entityOrSession)
  return sessionOfEntityManager(entityOrSession as EntityManager)
}
