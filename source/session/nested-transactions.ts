import { AsyncLocalStorage } from 'node:async_hooks'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Session } from './session.ts'

/** A nested transaction that the running code is in. */
interface Nested {
  readonly em: SqlEntityManager
  readonly session: Session
  readonly outer: Nested | undefined
}

const storage = new AsyncLocalStorage<Nested | undefined>()

type Work = (em: any) => any

/** `work`, whose code is then known to be in a nested transaction of `session`. */
export function asNested(session: Session | undefined, work: Work): Work {
  if (session === undefined) return work
  return (em: SqlEntityManager) => storage.run({ em, session, outer: storage.getStore() }, () => work(em))
}

/**
 * The entity manager of the innermost nested transaction of `session` that the running code is in, else `em`. MikroORM
 * knows the innermost of all sessions only, and that one may belong to another role.
 */
export function innermost(session: Session | undefined, em: SqlEntityManager): SqlEntityManager {
  let nested = storage.getStore()
  while (nested !== undefined && nested.session !== session) nested = nested.outer
  return nested?.em ?? em
}

/** Whether the running code is in a nested transaction of `session`. */
export function isNestedIn(session: Session): boolean {
  return innermost(session, session.em) !== session.em
}

/** Whether the running code is in a nested transaction of any session. */
export function isNested(): boolean {
  return storage.getStore() !== undefined
}

/** Does `work` without a memory of nested transactions whose sessions have ended, which would be kept alive by it. */
export function forgettingEnded<T>(work: () => T): T {
  return storage.run(openOnes(storage.getStore()), work)
}

function openOnes(nested: Nested | undefined): Nested | undefined {
  if (nested === undefined) return undefined
  const outer = openOnes(nested.outer)
  return nested.session.ended ? outer : { ...nested, outer }
}
