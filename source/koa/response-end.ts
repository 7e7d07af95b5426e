import type { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Context } from 'koa'

/**
 * Over HTTP/2 the response of Koa's ctx stands for a stream, which knows more than it says: `closed` is undefined there,
 * `writableFinished` is true after a reset, and a HEAD request whose client left never emits 'close'
 * (https://github.com/nodejs/node/blob/v24.x/lib/internal/http2/compat.js).
 */
type Response = ServerResponse & { readonly stream?: ServerHttp2Stream }

/** Whether nothing more of a response will be sent: it was sent whole, or its client went away. */
export function isOver(res: ServerResponse): boolean {
  const { stream } = res as Response
  return stream === undefined ? res.closed : stream.destroyed || stream.aborted
}

/** Of a response that is over: whether it was sent whole. */
export function wasSent(res: ServerResponse): boolean {
  const { stream } = res as Response
  if (stream === undefined) return res.writableFinished
  // The writable side of a HEAD request is finished from the start, and that of an aborted stream afterwards.
  return stream.headersSent && !stream.aborted && stream.writableFinished
}

/** Calls `listener`, perhaps more than once, when the response is over; it is called on what emits that. */
export function onOver(res: ServerResponse, listener: (this: any) => void): void {
  const emitter = emitterOf(res)
  emitter.on('close', listener)
  if (emitter !== res) emitter.on('aborted', listener)
}

/** What emits the end of a response, one for each. */
export function emitterOf(res: ServerResponse): EventEmitter {
  return (res as Response).stream ?? res
}

/** Whether there is one: koa-websocket runs middleware with a ctx that has none. */
export function hasResponse(ctx: Context): boolean {
  return (ctx.res as ServerResponse | undefined) !== undefined
}
