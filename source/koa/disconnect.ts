import type { EventEmitter } from 'node:events'
import type { Context } from 'koa'
import type { UnitObserver } from '../unit/unit-host.ts'
import type { UnitOfWork } from '../unit/unit-of-work.ts'
import { ClientDisconnectedError } from './errors.ts'
import { letGo, watchSources } from './piped-sources.ts'
import { emitterOf, isOver, onOver, wasSent } from './response-end.ts'

const WATCHES = Symbol('koa-sqlassist disconnect watches')

type Watched = EventEmitter & { [WATCHES]?: Set<DisconnectWatch> }

/** Watches for the client of a request to go away, from the moment its unit of work opens a session. */
export class DisconnectWatch implements UnitObserver {
  readonly #ctx: Context
  #unit: UnitOfWork | undefined
  #awaitsSession = false
  #disconnected = false

  constructor(ctx: Context) {
    this.#ctx = ctx
  }

  /** Watches from the first session that `unit` opens from here on. */
  start(unit: UnitOfWork): void {
    this.#unit = unit
    this.#awaitsSession = true
  }

  /** Whether the client was gone before the end was decided. */
  get disconnected(): boolean {
    return this.#disconnected
  }

  /** Stops watching, since the end is decided: a commit that has begun is finished. */
  stop(): void {
    ;(emitterOf(this.#ctx.res) as Watched)[WATCHES]?.delete(this)
    this.#awaitsSession = false
  }

  /** Checks before the end is decided: hooks and data managers may open the first session only then. */
  look(): void {
    if (this.#unit?.transaction() !== undefined && isOver(this.#ctx.res)) this.closed()
  }

  sessionOpened(): void {
    if (!this.#awaitsSession) return
    this.#awaitsSession = false
    const { res } = this.#ctx
    if (isOver(res)) this.closed()
    else watchesOf(res).add(this)
  }

  /** Called when the response is over, sent or not. */
  closed(): void {
    if (this.#disconnected || wasSent(this.#ctx.res)) return
    this.#disconnected = true
    letGoOfBodies(this.#ctx)
    this.#unit?.cancel(this.error())
  }

  /** Makes the error that ends the request; `cause` is the error of the handler. */
  error(cause?: unknown): ClientDisconnectedError {
    const { method, path } = this.#ctx
    return new ClientDisconnectedError(method, path, { cause, hasCommitted: this.#unit?.hasCommitted === true })
  }
}

/** Destroys the body, and any that the handler sets later: nobody will read them, and their sessions are over. */
function letGoOfBodies({ response, res }: Context): void {
  watchSources(res)
  void letGo(response.body)
  const inherited: object = Object.getPrototypeOf(response)
  Object.defineProperty(response, 'body', {
    configurable: true,
    get: () => Reflect.get(inherited, 'body', response) as unknown,
    set(body: unknown) {
      Reflect.set(inherited, 'body', body, response)
      void letGo(body)
    },
  })
}

function watchesOf(res: Context['res']): Set<DisconnectWatch> {
  const emitter = emitterOf(res) as Watched
  if (emitter[WATCHES] === undefined) {
    emitter[WATCHES] = new Set()
    onOver(res, tellWatches)
  }
  return emitter[WATCHES]
}

/**
 * One listener for all responses. Node keeps listeners in arrays that V8, having seen those of its long-lived sockets,
 * allocates among the old objects; a closure in one would keep everything of its request until the next full collection.
 */
function tellWatches(this: Watched): void {
  for (const watch of this[WATCHES] ?? []) watch.closed()
}
