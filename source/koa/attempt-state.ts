import type { Context } from 'koa'
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
  readonly #streamWasRead: boolean
  #passedOn = false

  constructor(ctx: Context) {
    this.#ctx = ctx
    this.#state = { ...ctx.state }
    this.#response = { ...(ctx.response as unknown as Fields) }
    this.#status = hasResponse(ctx) ? ctx.res.statusCode : 0
    this.#headers = hasResponse(ctx) ? { ...ctx.res.getHeaders() } : {}
    this.#streamWasRead = ctx.req.readableDidRead
  }

  /** Hands the request on to the rest of the application. */
  async passOn(next: () => Promise<unknown>): Promise<void> {
    this.#passedOn = true
    await next()
  }

  /** Returns why the request cannot be run again; undefined if it can. */
  obstacle(): string | undefined {
    const { req, res, request } = this.#ctx
    if (hasResponse(this.#ctx) && res.headersSent) return 'part of the response was sent already'
    if (this.#passedOn)
      return "the rest of the application was run, which Koa's next() allows only once; put it into downstream"
    // A body parser keeps what it has read on ctx.request.body, and does not read it again.
    const parsed = (request as { readonly body?: unknown }).body !== undefined
    if (req.readableDidRead && !this.#streamWasRead && !parsed) {
      return 'the body of the request was read and is gone; parse it before dbSessions, or keep it on ctx.request.body'
    }
    return undefined
  }

  /** Resets status, headers, body and state of the failed attempt. `ctx.state` is restored one level deep. */
  restore(): void {
    const { response, res } = this.#ctx
    void letGo(this.#ctx.body)
    replaceFields(response as unknown as Fields, this.#response)
    replaceFields(this.#ctx.state, this.#state)
    if (!hasResponse(this.#ctx)) return
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    for (const [name, value] of Object.entries(this.#headers)) res.setHeader(name, value as string)
    res.statusCode = this.#status
    res.statusMessage = ''
  }
}

function replaceFields(target: Fields, fields: Fields): void {
  for (const name of Object.keys(target)) if (!(name in fields)) Reflect.deleteProperty(target, name)
  Object.assign(target, fields)
}
