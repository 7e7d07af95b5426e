import { once } from 'node:events'
import { Readable, Stream } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Context } from 'koa'

/** Whether the body is still to be read when the middleware is done. */
export function isStreamed(body: unknown): boolean {
  return body instanceof Stream || body instanceof ReadableStream || body instanceof Response
}

/**
 * Resolves when nothing reads from the body any more: it ended, failed, or the client went away. A body that Koa never
 * reads, as of a HEAD request, is destroyed with its response.
 */
export async function bodyIsOver(ctx: Context): Promise<void> {
  const { body, res } = ctx
  if (!res.closed) await once(res, 'close')
  if (!(body instanceof Readable)) return
  body.destroy()
  // Only then has a generator behind it run to its end, and given its connection back.
  await finished(body).catch(() => undefined)
}
