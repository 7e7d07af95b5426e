import type { Context } from 'koa'
import type { UnitObserver, UnitOfWork } from '../engine/unit-of-work.ts'
import { ClientDisconnectedError } from './errors.ts'

/** Watches for the client of a request to go away, from the moment its unit of work opens a session. */
export class DisconnectWatch implements UnitObserver {
  readonly #ctx: Context
  readonly #unit: UnitOfWork
  #onClose: (() => void) | undefined
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
    if (this.#onClose !== undefined) this.#ctx.res.off('close', this.#onClose)
    this.#unit.observer = undefined
  }

  firstSession(): void {
    if (this.#ctx.res.closed) return this.#closed()
    this.#onClose = () => this.#closed()
    this.#ctx.res.on('close', this.#onClose)
  }

  #closed(): void {
    if (this.#ctx.res.writableFinished) return
    this.#disconnected = true
    this.#unit.cancel(new ClientDisconnectedError(this.#ctx.method, this.#ctx.path))
  }
}
