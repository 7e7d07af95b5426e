import { NestedTransactionDeadlockError } from './nested-errors.ts'
import { ContextValue } from '../transaction/context-value.ts'

/** The last turn of an entity manager, or of a connection that is the only one. */
const LAST = Symbol('koa-sqlassist turns')

type Queue = object & { [LAST]?: Turn | undefined }

/** A nested transaction or a statement, or one that waits for its turn. */
interface Turn {
  /** Undefined when it is over. */
  queue: Queue | undefined
  /** The one that it was called in. */
  readonly outer: Turn | undefined
  /** The turns that were called in this one and are not over. */
  readonly inner: Set<Turn>
  /** The one that it waits for. */
  ahead: Turn | undefined
  readonly over: PromiseWithResolvers<void>
}

const current = new ContextValue<Turn>('turn')

/**
 * Two nested transactions at once of an entity manager would share the name of their savepoint, and one's failure undo the
 * other. One inside another does not wait: where MikroORM ignores nested transactions, both run on the same entity manager.
 * @throws NestedTransactionDeadlockError where the one ahead waits for one that this was called in
 */
export async function oneAfterTheOther<T>(queue: Queue, role: string, work: () => Promise<T>): Promise<T> {
  const outer = living(current.get())
  if (isInside(queue, outer)) return await work()
  const ahead = queue[LAST]
  if (ahead !== undefined && outer !== undefined && waitsFor(ahead, outer))
    throw new NestedTransactionDeadlockError(role)
  const turn: Turn = { queue, outer, inner: new Set(), ahead, over: Promise.withResolvers() }
  queue[LAST] = turn
  outer?.inner.add(turn)
  try {
    await ahead?.over.promise
    turn.ahead = undefined
    return await current.run(turn, work)
  } finally {
    turn.queue = undefined
    outer?.inner.delete(turn)
    if (queue[LAST] === turn) queue[LAST] = undefined
    turn.over.resolve()
  }
}

function isInside(queue: Queue, turn: Turn | undefined): boolean {
  return turn !== undefined && (turn.queue === queue || isInside(queue, turn.outer))
}

/** Whether `turn` comes to its end only after the running code, which was called in `own`. */
function waitsFor(turn: Turn, own: Turn): boolean {
  for (let each: Turn | undefined = turn; each !== undefined; each = each.ahead) {
    if (isOneOf(each, own) || [...each.inner].some((inner) => waitsFor(inner, own))) return true
  }
  return false
}

function isOneOf(turn: Turn, own: Turn | undefined): boolean {
  return own !== undefined && (turn === own || isOneOf(turn, own.outer))
}

/** Nothing that is over is kept: code that goes on in its context may be a job that never ends. */
function living(turn: Turn | undefined): Turn | undefined {
  return turn === undefined || turn.queue !== undefined ? turn : living(turn.outer)
}
