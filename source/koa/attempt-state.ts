import type { Context } from 'koa'
import { BodyOfAttempts } from './body-of-attempts.ts'
import { letGo } from './piped-sources.ts'
import { hasResponse } from './response-end.ts'

type Fields = Record<string, unknown>

/** Undoes what a failed attempt did to a request, so that the next one starts where the first did. */
export class AttemptState {
  readonly #ctx: Context
  readonly #state: Fields
  readonly #response: Fields
  readonly #status: number
  readonly #headers: Fields
  readonly #body: BodyOfAttempts
  /** The error of the last attempt. */
  #failed: { readonly error: unknown } | undefined
  #passedOn = false

  constructor(ctx: Context) {
    this.#ctx = ctx
    this.#state = { ...ctx.state }
    this.#response = { ...(ctx.response as unknown as Fields) }
    this.#status = hasResponse(ctx) ? ctx.res.statusCode : 0
    this.#headers = hasResponse(ctx) ? { ...ctx.res.getHeaders() } : {}
    this.#body = new BodyOfAttempts(ctx.req)
  }

  /** Hands the request on to the rest of the application. */
  async passOn(next: () => Promise<unknown>): Promise<void> {
    this.#passedOn = true
    await next()
  }

  /** Does the work of an attempt. @throws NotRetriedError where it reads what an earlier one has read */
  attempt(work: () => Promise<void>): Promise<void> {
    return this.#failed !== undefined && this.#body.wasRead ? this.#body.again(this.#failed.error, work) : work()
  }

  /** Returns why the request cannot be run again; undefined if it can. */
  obstacle(): string | undefined {
    const { res, request } = this.#ctx
    if (hasResponse(this.#ctx) && res.headersSent) return 'part of the response was sent already'
    if (this.#passedOn)
      return "the rest of the application was run, which Koa's next() allows only once; put it into downstream"
    // What a parser has kept, it may read again all the same: that is seen when it does.
    const isKept = (request as { readonly body?: unknown }).body !== undefined
    if (!isKept && this.#body.wasRead && !this.#body.isEmpty) {
      return 'the body of the request was read and is gone; parse it before dbSessions, or keep it on ctx.request.body'
    }
    return undefined
  }

  /** Resets status, headers, body and state of the attempt that ended in `error`. `ctx.state` is restored one level deep. */
  restore(error: unknown): void {
    this.#failed = { error }
    const { response, res } = this.#ctx
    void letGo(this.#ctx.body)
    replaceFields(response as unknown as Fields, this.#response)
    replaceFields(this.#ctx.state, this.#state)
    if (!hasResponse(this.#ctx)) return
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    for (const [name, value] of Object.entries(this.#headers)) res.setHeader(name, value as string)
    res.statusCode = this.#status
    // HTTP/2 has none, and Node warns of it.
    if (this.#ctx.req.httpVersionMajor < 2) res.statusMessage = ''
  }
}

function replaceFields(target: Fields, fields: Fields): void {
  for (const name of Object.keys(target)) if (!(name in fields)) Reflect.deleteProperty(target, name)
  Object.assign(target, fields)
}
