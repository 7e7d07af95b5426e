import type { ServerResponse } from 'node:http'
import { Stream } from 'node:stream'
import type { Context } from 'koa'
import type { LateReader } from '../unit/late-reading.ts'
import { breakOff, isDestination, letGo, watchSources } from './piped-sources.ts'
import { isOver, onOver, wasSent } from './response-end.ts'

/** Whether the body is still to be read when the middleware is done. */
export function isStreamed(body: unknown): boolean {
  return body instanceof Stream || body instanceof ReadableStream || body instanceof Response
}

/** A body that is still to be read when the unit of work of its request ends. */
export class StreamedBody implements LateReader {
  readonly #body: unknown
  readonly #res: ServerResponse
  /** Koa never reads it. */
  readonly #isForHead: boolean

  constructor({ body, res, method }: Context) {
    this.#body = body
    this.#res = res
    this.#isForHead = method === 'HEAD'
    if (this.isOver) void letGo(body)
    else watchSources(body)
  }

  get isOver(): boolean {
    return isOver(this.#res)
  }

  async over(): Promise<boolean> {
    if (!this.isOver) await new Promise<void>((resolve) => onOver(this.#res, resolve))
    // What it reads from is ended behind it: its errors would find nobody.
    await letGo(this.#body)
    return wasSent(this.#res) && !this.#isForHead
  }

  /** Breaks the answer off, which finds what is piped into the body before that fails. Koa emits the error. */
  usedTooLate(error: Error): void {
    if (!isDestination(this.#body)) return
    if (this.isOver) void letGo(this.#body)
    else breakOff(this.#body, error)
  }
}
