import type { EntityManager } from '@mikro-orm/core'
import { NotASessionError } from './errors.ts'
import { sessionOfEntityManager } from './session.ts'

/**
 * Declares that raw SQL wrote through `em`, so that its session is committed; what nobody declares is rolled back.
 *
 * @throws NotASessionError for an entity manager that is no session's; ReadOnlySessionError on a read-only role;
 *   SessionEndedError after the end
 */
export function markChanged(em: EntityManager): void {
  const session = sessionOfEntityManager(em) ?? sessionOfEntityManager(em.getContext(false))
  if (session === undefined) throw new NotASessionError()
  session.markChanged()
}
