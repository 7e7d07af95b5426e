import { AsyncLocalStorage } from 'node:async_hooks'

/** The nested transactions of an entity manager, one after the other. */
const LAST = Symbol('koa-sqlassist nested transactions')

type Nesting = object & { [LAST]?: Promise<unknown> }

/** A nested transaction that the running code was called in, with those around it. */
interface Turn {
  /** Undefined when it is over. */
  em: Nesting | undefined
  readonly outer: Turn | undefined
}

const current = new AsyncLocalStorage<Turn>()

/**
 * Two nested transactions at once would share the name of their savepoint, and one's failure undo the other. One inside
 * another does not wait: where MikroORM ignores nested transactions, both run on the same entity manager.
 */
export async function oneAfterTheOther<T>(em: Nesting, work: () => Promise<T>): Promise<T> {
  if (isInside(em)) return await work()
  const previous = em[LAST]
  const { promise, resolve } = Promise.withResolvers<void>()
  em[LAST] = promise
  const turn: Turn = { em, outer: living(current.getStore()) }
  try {
    await previous
    return await current.run(turn, work)
  } finally {
    turn.em = undefined
    resolve()
  }
}

function isInside(em: Nesting): boolean {
  for (let turn = current.getStore(); turn !== undefined; turn = turn.outer) if (turn.em === em) return true
  return false
}

/** Nothing that is over is kept: code that goes on in its context may be a job that never ends. */
function living(turn: Turn | undefined): Turn | undefined {
  return turn === undefined || turn.em !== undefined ? turn : living(turn.outer)
}
