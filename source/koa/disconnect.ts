import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { UnitObserver, UnitOfWork } from '../engine/unit-of-work.ts'
import { ClientDisconnectedError } from './errors.ts'

const WATCHES = Symbol('koa-sqlassist disconnect watches')

type Watched = ServerResponse & { [WATCHES]?: Set<DisconnectWatch> }

/** Watches for the client of a request to go away, from the moment its unit of work opens a session. */
export class DisconnectWatch implements UnitObserver {
  readonly #ctx: Context
  readonly #unit: UnitOfWork
  #disconnected = false

  constructor(ctx: Context, unit: UnitOfWork) {
    this.#ctx = ctx
    this.#unit = unit
    unit.observer = this
  }

  /** Whether the client was gone before the end was decided. */
  get disconnected(): boolean {
    return this.#disconnected
  }

  /** From here on the end is decided: a commit that has begun is finished. */
  stop(): void {
    ;(this.#ctx.res as Watched)[WATCHES]?.delete(this)
    this.#unit.observer = undefined
  }

  firstSession(): void {
    const { res } = this.#ctx
    if (res.closed) return this.closed()
    watchesOf(res).add(this)
  }

  /** For the response: it is over, in whatever way. */
  closed(): void {
    if (this.#ctx.res.writableFinished) return
    this.#disconnected = true
    this.#unit.cancel(new ClientDisconnectedError(this.#ctx.method, this.#ctx.path))
  }
}

function watchesOf(res: Watched): Set<DisconnectWatch> {
  if (res[WATCHES] === undefined) {
    res[WATCHES] = new Set()
    res.on('close', tellWatches)
  }
  return res[WATCHES]
}

/**
 * One listener for all responses. Node keeps listeners in arrays that V8, having seen those of its long-lived sockets,
 * allocates among the old objects; a closure in one would keep everything of its request until the next full collection.
 */
function tellWatches(this: Watched): void {
  for (const watch of this[WATCHES] ?? []) watch.closed()
}
