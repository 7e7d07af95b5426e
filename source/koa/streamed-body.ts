import type { ServerResponse } from 'node:http'
import { Stream } from 'node:stream'
import type { Context } from 'koa'
import type { LateReader } from '../unit/late-reading.ts'
import { breakOff, isDestination, letGo, watchSources } from './piped-sources.ts'
import { isOver, onOver, wasSent } from './response-end.ts'

/** Whether a body is still to be read when the middleware is done. */
export function isStreamed(body: unknown): boolean {
  return body instanceof Stream || body instanceof ReadableStream || body instanceof Response
}

/** A body that is still to be read when the unit of work of its request ends. */
export class StreamedBody implements LateReader {
  readonly #body: unknown
  readonly #res: ServerResponse
  /** Koa never reads the body of an answer to HEAD. */
  readonly #isForHead: boolean
  /** Made once, since each adds a listener to the response. */
  #over: Promise<boolean> | undefined

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

  over(): Promise<boolean> {
    return (this.#over ??= this.#untilOver())
  }

  async #untilOver(): Promise<boolean> {
    if (!this.isOver) await new Promise<void>((resolve) => onOver(this.#res, resolve))
    // The sessions end next: a body that still read from them would fail without a listener.
    await letGo(this.#body)
    return wasSent(this.#res) && !this.#isForHead
  }

  /** Breaks the answer off and destroys the body's sources before they fail. Koa emits the error. */
  usedTooLate(error: Error): void {
    if (!isDestination(this.#body)) return
    if (this.isOver) void letGo(this.#body)
    else breakOff(this.#body, error)
  }
}
