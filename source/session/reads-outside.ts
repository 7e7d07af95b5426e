import type { Database } from '../database/database.ts'
import { SessionContextError } from './errors.ts'
import { ReadOnlyStatements, type ReadingHost } from './read-only-statements.ts'
import type { SessionCore } from './session-core.ts'
import { SessionConnection, sessionKysely } from './session-kysely.ts'
import type { SessionStatements } from './session-statements.ts'

/** A session that only reads. */
interface ReadingSession extends ReadingHost {
  readonly core: SessionCore
  readonly statements: SessionStatements
}

/** Has the entity manager of a session send its statements outside of a transaction. @throws SessionContextError */
export function readsOutside(session: ReadingSession, database: Database): ReadOnlyStatements {
  const { statements } = session
  const { em, settings, options, transaction } = session.core
  if (em.getTransactionSessionContext() !== undefined) throw new SessionContextError(settings.role)
  // One replica for the whole session, so that two reads of a request do not travel in time.
  const replica = database.replication?.isFollowing === true ? em.getConnection('write') : em.getConnection('read')
  const open = () => database.reads(replica, em, settings.begin, options.unit)
  const reads = new ReadOnlyStatements(session, transaction.writes, open)
  const connection = new SessionConnection(reads, 'orm', undefined)
  em.setTransactionContext(sessionKysely(statements, replica.getClient(), connection))
  return reads
}
