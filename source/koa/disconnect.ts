import type { Context } from 'koa'
import type { UnitOfWork } from '../engine/unit-of-work.ts'
import { ClientDisconnectedError } from './errors.ts'

/** Watches for the client of a request to go away, from the moment its unit of work opens a session. */
export class DisconnectWatch {
  readonly #ctx: Context
  readonly #unit: UnitOfWork
  readonly #onClose = () => this.#closed()
  #watching = false
  #disconnected = false

  constructor(ctx: Context, unit: UnitOfWork) {
    this.#ctx = ctx
    this.#unit = unit
    unit.onFirstSession = () => this.#start()
  }

  /** Whether the client was gone before the end was decided. */
  get disconnected(): boolean {
    return this.#disconnected
  }

  /** From here on the end is decided: a commit that has begun is finished. */
  stop(): void {
    if (this.#watching) this.#ctx.res.off('close', this.#onClose)
    this.#unit.onFirstSession = undefined
  }

  #start(): void {
    if (this.#ctx.res.closed) this.#closed()
    else this.#ctx.res.once('close', this.#onClose)
    this.#watching = true
  }

  #closed(): void {
    if (this.#ctx.res.writableFinished) return
    this.#disconnected = true
    this.#unit.cancel(new ClientDisconnectedError(this.#ctx.method, this.#ctx.path))
  }
}
