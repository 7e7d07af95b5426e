import type { SqlEntityManager } from '@mikro-orm/sql'
import { NestedTransactionEndedError, NestedTransactionOpenError } from './nested-errors.ts'
import { ContextValue } from '../transaction/context-value.ts'

/** A session that transactions are nested in. */
export interface Nestable {
  readonly role: string
  readonly em: SqlEntityManager
  readonly ended: boolean
}

/** A nested transaction that the running code is in. */
interface Nested {
  readonly em: SqlEntityManager
  readonly session: Nestable
  readonly outer: Nested | undefined
  readonly state: {
    /** How many calls of em.transactional() inside of it are under way. */
    inner: number
    isOver: boolean
  }
}

/** The nested transaction that an entity manager was made for. */
const NESTED = Symbol('koa-sqlassist nested transaction')

const storage = new ContextValue<Nested>('nested')

type Work = (em: any) => any

/**
 * Nests a transaction on `em` by `nest`, which is given the callback to call: `work`, whose code is then known to be in it.
 * @throws NestedTransactionOpenError out of the callback, when `work` is done and has left one inside under way
 */
export async function asNested<T>(
  session: Nestable,
  em: SqlEntityManager,
  work: Work,
  nest: (work: Work) => Promise<T>,
): Promise<T> {
  const outer = innermostOf(session)
  if (outer !== undefined) outer.state.inner++
  let nested: Nested | undefined
  try {
    return await nest(async (own: SqlEntityManager) => {
      const here: Nested = { em: own, session, outer: storage.get(), state: { inner: 0, isOver: false } }
      nested = here
      if (own !== em) (own as Nesting)[NESTED] = here
      const result = await storage.run(here, () => work(own))
      if (here.state.inner > 0) throw new NestedTransactionOpenError(session.role, 'The end of em.transactional()')
      return result
    })
  } finally {
    if (outer !== undefined) outer.state.inner--
    if (nested !== undefined) nested.state.isOver = true
  }
}

type Nesting = SqlEntityManager & { [NESTED]?: Nested }

/** @throws NestedTransactionEndedError where `em` is of a nested transaction that goes on after the end of the one around it */
export function assertNotCutOff(em: SqlEntityManager): void {
  const nested = (em as Nesting)[NESTED]
  if (nested === undefined || nested.state.isOver) return
  for (let { outer } = nested; outer !== undefined; outer = outer.outer) {
    if (outer.state.isOver && outer.session === nested.session)
      throw new NestedTransactionEndedError(nested.session.role)
  }
}

/** Whether `em` was made for a nested transaction. */
export function isOfNested(em: SqlEntityManager): boolean {
  return (em as Nesting)[NESTED] !== undefined
}

/** Whether `em` was made for a nested transaction that is over. */
export function isOverNested(em: SqlEntityManager): boolean {
  return (em as Nesting)[NESTED]?.state.isOver === true
}

/** @throws NestedTransactionEndedError where `em` is of a nested transaction that is over */
export function assertNestable(em: SqlEntityManager): void {
  const nested = (em as Nesting)[NESTED]
  if (nested?.state.isOver === true) throw new NestedTransactionEndedError(nested.session.role)
}

/** Code that goes on after the end of its nested transaction is not in it any more. */
function innermostOf(session: Nestable): Nested | undefined {
  let nested = storage.get()
  while (nested !== undefined && (nested.session !== session || nested.state.isOver)) nested = nested.outer
  return nested
}

/**
 * The entity manager of the innermost nested transaction of `session` that the running code is in, else `em`. MikroORM
 * knows the innermost of all sessions only, and that one may belong to another role.
 */
export function innermost(session: Nestable | undefined, em: SqlEntityManager): SqlEntityManager {
  return (session === undefined ? undefined : innermostOf(session))?.em ?? em
}

/** Whether the running code is in a nested transaction of `session`. */
export function isNestedIn(session: Nestable): boolean {
  return innermost(session, session.em) !== session.em
}

/** Whether the running code is in a nested transaction of any session. */
export function isNested(): boolean {
  return storage.get() !== undefined
}

/** Does `work` without a memory of nested transactions whose sessions have ended, which would be kept alive by it. */
export function forgettingEnded<T>(work: () => T): T {
  return storage.run(openOnes(storage.get()), work)
}

function openOnes(nested: Nested | undefined): Nested | undefined {
  if (nested === undefined) return undefined
  const outer = openOnes(nested.outer)
  return nested.session.ended ? outer : { ...nested, outer }
}
