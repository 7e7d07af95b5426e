import type { AsyncLocalStorage } from 'node:async_hooks'
import { RequestContext, TransactionContext, type EntityManager } from '@mikro-orm/core'
import { sessionOfEntityManager } from '../session/session.ts'
import { servedOrmOf } from './served-orm.ts'

/** The entity manager of MikroORM's transaction that the running code is in. */
export function transactionHere(): EntityManager | undefined {
  return TransactionContext.currentTransactionContext()?.em
}

/** Does `work` outside of MikroORM's transaction that the running code is in. */
export function outsideOfTransaction<T>(work: () => T): T {
  return storageOf(TransactionContext).run(undefined, work)
}

/** Whether the running code is in a context of MikroORM. */
export function isInContext(): boolean {
  return transactionHere() !== undefined || RequestContext.currentRequestContext() !== undefined
}

/**
 * Does `work` without the contexts of MikroORM around it that concern roles of `registry`: code in a unit of work means its
 * own sessions. Contexts of other ORMs stay.
 */
export function leavingContexts<T>(registry: object, work: () => T): T {
  const transaction = transactionHere()
  const leaves = transaction !== undefined && isLeft(transaction, registry)
  const inner = leaves ? () => outsideOfTransaction(work) : work
  const request = RequestContext.currentRequestContext()
  if (request === undefined) return inner()
  const forks = [...forksOf(request)]
  if (!forks.some(([, em]) => servedOrmOf(em)?.isScopedIn(registry) === true)) return inner()
  return storageOf(RequestContext).run(new RequestContext(new SessionsFirst(forks)), inner)
}

/** Whether a unit leaves `transaction`. One of a role that is not scoped stays, unless it is another unit's session. */
function isLeft(transaction: EntityManager, registry: object): boolean {
  const session = sessionOfEntityManager(transaction)
  if (session?.ended === true) return true
  const served = servedOrmOf(transaction)
  return served?.serves(registry) === true && (session !== undefined || served.isScopedIn(registry))
}

/** The entity managers of a request context, with sessions in their place in the code of a unit of work. */
class SessionsFirst extends Map<string, EntityManager> {
  override get(name: string): EntityManager | undefined {
    const em = super.get(name)
    return (em && servedOrmOf(em)?.sessionHere()) ?? em
  }
}

/** The private storage of MikroORM, which has no other way out of a context. */
function storageOf<Context>(
  contexts: { currentTransactionContext(): Context } | { currentRequestContext(): Context },
): AsyncLocalStorage<Context | undefined> {
  return (contexts as unknown as { readonly storage: AsyncLocalStorage<Context | undefined> }).storage
}

function forksOf(request: RequestContext): Map<string, EntityManager> {
  return (request as unknown as { readonly map: Map<string, EntityManager> }).map
}
