import type { ForkOptions } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Kysely } from 'kysely'
import { flushUnderWay } from './flush-in-turn.ts'
import { isNestedIn } from './nested-transactions.ts'
import { rawContextOf } from './session-kysely.ts'
import { sessionOfEntityManager, type Session } from './session.ts'

type TransactionalOptions = Parameters<SqlEntityManager['transactional']>[1]

/** Methods that write, and may send more than one statement: the session is not judged between two of them. */
export const OPERATIONS = [
  'insert',
  'insertMany',
  'upsert',
  'upsertMany',
  'nativeUpdate',
  'nativeDelete',
  'clone',
] as const satisfies readonly (keyof SqlEntityManager)[]

/**
 * What a global entity manager has to hand on to the session it resolves to. MikroORM would only take the session's
 * state, and do the rest by the methods of the global one.
 */
export const REDIRECTED = [
  ...OPERATIONS,
  'flush',
  'begin',
  'commit',
  'rollback',
  'transactional',
  'stream',
  'execute',
  'getKysely',
  'callRoutine',
  'persist',
  'remove',
  'merge',
  'getConnection',
  'tryCache',
  'storeCache',
] as const satisfies readonly (keyof SqlEntityManager)[]

/** Does `work` as an operation of the session of `em`, which is not judged before the end of it. */
export function asOperation<T>(em: SqlEntityManager, work: () => Promise<T>): Promise<T> {
  const session = sessionOfEntityManager(em)
  if (session === undefined) return work()
  // Inside of the operation it could not be waited for.
  const ahead = notBesideFlush(em)
  return session.activity.during(ahead === undefined ? work : async () => await ahead.then(work))
}

/** Does `work` behind the flush beside it, if there is one. */
export async function behindFlush<T>(em: SqlEntityManager, work: () => Promise<T>): Promise<T> {
  const ahead = notBesideFlush(em)
  if (ahead !== undefined) await ahead
  return await work()
}

/**
 * Returns the flush whose transaction other code would get into. Where every flush commits, MikroORM has the entity
 * manager use that transaction meanwhile.
 */
export function flushBeside(em: SqlEntityManager): Promise<void> | undefined {
  const session = sessionOfEntityManager(em)
  return session?.leavesTransactionsToMikroOrm === true && !session.activity.isInside ? flushUnderWay(em) : undefined
}

/** Waits until there is none. */
export function notBesideFlush(em: SqlEntityManager): Promise<void> | undefined {
  return flushBeside(em)?.then(() => notBesideFlush(em))
}

/** The session whose transaction is not MikroORM's to begin and end. */
export function managedSession(em: SqlEntityManager): Session | undefined {
  const session = sessionOfEntityManager(em)
  session?.assertUsable()
  return session?.leavesTransactionsToMikroOrm === true ? undefined : session
}

/** MikroORM would end the transaction that the callback of em.transactional() is in, and the rest would be in none. */
export function assertNotInsideOfNested(em: SqlEntityManager, what: string): void {
  const session = sessionOfEntityManager(em)
  if (session?.leavesTransactionsToMikroOrm === true && isNestedIn(session)) session.statements.refuseNested(what)
}

/** The options by which MikroORM forks for a nested transaction; it gives them all, also those that are undefined. */
export function forksToNest(options: ForkOptions): boolean {
  return (
    options.cloneEventManager === true && 'disableTransactions' in options && 'inflightQueryAbortStrategy' in options
  )
}

/**
 * Options to hand on: MikroORM writes into those of em.transactional(), the transaction context too. What it has left there
 * in a call before belongs to that one, and would lead into another database.
 */
export function ownOptions(options: NonNullable<TransactionalOptions>): NonNullable<TransactionalOptions> {
  return { ...options, ctx: undefined }
}

/**
 * Raw SQL runs in the same database transaction, on a context that does not take its writes for MikroORM's own. MikroORM
 * reads the context before its first await, so the other one need only stand for the call itself.
 */
export function inRawContext<T>(em: SqlEntityManager, call: () => T): T {
  const raw = rawContextOf(em.getTransactionContext())
  return raw === undefined ? call() : inContext(em, raw, call)
}

/** Calls `call` while `em` has another transaction context. */
export function inContext<T>(em: SqlEntityManager, context: Kysely<any> | undefined, call: () => T): T {
  const before = em.getTransactionContext()
  em.setTransactionContext(context)
  try {
    return call()
  } finally {
    em.setTransactionContext(before)
  }
}
