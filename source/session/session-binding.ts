import type { EntityManager } from '@mikro-orm/core'
import type { Session } from './session.ts'

const SESSION = Symbol('koa-sqlassist session')

/** The session behind an entity manager, also behind one that a session handed to `em.transactional()`. */
export function sessionOfEntityManager(em: EntityManager): Session | undefined {
  return (em as { [SESSION]?: Session | undefined })[SESSION]
}

/** Makes `session` the one behind `em`. */
export function setSession<EM extends EntityManager>(em: EM, session: Session | undefined): EM {
  ;(em as { [SESSION]?: Session | undefined })[SESSION] = session
  return em
}
