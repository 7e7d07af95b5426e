import type { Context } from 'koa'
import type { UnitObserver, UnitOfWork } from '../engine/unit-of-work.ts'
import { ClientDisconnectedError } from './errors.ts'

/** Watches for the client of a request to go away, from the moment its unit of work opens a session. */
export class DisconnectWatch implements UnitObserver {
  readonly #ctx: Context
  readonly #unit: UnitOfWork
  #over = false
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
    // The listener stays: a response closes once, and goes then.
    this.#over = true
    this.#unit.observer = undefined
  }

  firstSession(): void {
    if (this.#ctx.res.closed) this.#closed()
    else this.#ctx.res.on('close', () => this.#closed())
  }

  #closed(): void {
    if (this.#over || this.#ctx.res.writableFinished) return
    this.#disconnected = true
    this.#unit.cancel(new ClientDisconnectedError(this.#ctx.method, this.#ctx.path))
  }
}
