import type { SqlEntityManager } from '@mikro-orm/sql'
import { onceFor } from '../database/once-for.ts'
import type { DatabaseTransaction } from './database-transaction.ts'
import { hasChanges } from './has-changes.ts'
import { sessionOfEntityManager, type Session } from './session.ts'

type EntityManagerClass = new (...args: any[]) => SqlEntityManager

/** What a session had done when it looked into the result cache. */
interface Before {
  readonly transaction: DatabaseTransaction
  readonly writes: number
  readonly operations: number
}

/** The result of a look into the cache, which MikroORM hands on to the store behind it. */
interface Look {
  readonly key: string
  readonly before?: Before
}

/** Makes a subclass whose sessions share through MikroORM's result cache what is committed, and nothing else. */
export const cachingEntityManagerClass = onceFor(makeCachingClass)

function makeCachingClass(Base: EntityManagerClass): EntityManagerClass {
  return class CachingEntityManager extends Base {
    /** Finds nothing where the session has uncommitted work: the database is asked, and the answer is not stored. */
    override tryCache(...args: any[]): Promise<any> {
      const session = isCached(this, args[1]) ? sessionOfEntityManager(this) : undefined
      if (session !== undefined && seesUncommitted(session, this)) return Promise.resolve({ key: '' } satisfies Look)
      const before = session && stateOf(session)
      const looking = (super.tryCache as (...all: any[]) => Promise<any>)(...args)
      return before === undefined ? looking : looking.then((found) => ({ ...found, before }))
    }

    override storeCache(config: any, key: Look, data: any): Promise<void> {
      const session = isCached(this, config) ? sessionOfEntityManager(this) : undefined
      if (session !== undefined && !readCommitted(session, this, key.before)) return Promise.resolve()
      return super.storeCache(config, key, data)
    }
  }
}

function isCached(em: SqlEntityManager, config: unknown): boolean {
  return (config ?? em.config.get('resultCache').global ?? false) !== false
}

/** Whether a statement of `em` may see what its session has not committed. */
function seesUncommitted(session: Session, em: SqlEntityManager): boolean {
  if (session.activity.count > 0) return true
  if (session.leavesTransactionsToMikroOrm) return em.isInTransaction()
  const { state, mayHoldLocks } = session.transaction.writes
  return state !== 'readonly' && mayHoldLocks
}

function stateOf({ transaction, activity }: Session): Before {
  return { transaction, writes: transaction.writes.version, operations: activity.total }
}

/** Whether what was read since `before` is committed: no write came between, and no entity was changed in memory. */
function readCommitted(session: Session, em: SqlEntityManager, before: Before | undefined): boolean {
  if (before === undefined || session.ended || seesUncommitted(session, em)) return false
  const { transaction, writes, operations } = stateOf(session)
  const isSame = before.transaction === transaction && before.writes === writes && before.operations === operations
  return isSame && !hasChanges(em)
}
