import type { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Context } from 'koa'

/**
 * Over HTTP/2 the response of Koa's ctx wraps a stream and hides its state: `closed` is undefined, `writableFinished` is
 * true after a reset, and a HEAD request whose client left never emits 'close'
 * (https://github.com/nodejs/node/blob/v24.x/lib/internal/http2/compat.js).
 */
type Response = ServerResponse & { readonly stream?: ServerHttp2Stream }

/** Whether nothing more of a response will be sent: it was sent whole, or its client went away. */
export function isOver(res: ServerResponse): boolean {
  const { stream } = res as Response
  return stream === undefined ? res.closed : stream.destroyed || stream.aborted
}

/** Whether a response that is over was sent whole. */
export function wasSent(res: ServerResponse): boolean {
  const { stream } = res as Response
  if (stream === undefined) return res.writableFinished
  // The writable side of a HEAD request is finished from the start, and that of an aborted stream afterwards.
  return stream.headersSent && !stream.aborted && stream.writableFinished
}

/** Calls `listener` when the response is over, perhaps more than once, with the emitter as `this`. */
export function onOver(res: ServerResponse, listener: (this: any) => void): void {
  const emitter = emitterOf(res)
  emitter.on('close', listener)
  if (emitter !== res) emitter.on('aborted', listener)
}

/** The emitter of a response's end. */
export function emitterOf(res: ServerResponse): EventEmitter {
  return (res as Response).stream ?? res
}

/** Whether ctx has a response: koa-websocket runs middleware without one. */
export function hasResponse(ctx: Context): boolean {
  return (ctx.res as ServerResponse | undefined) !== undefined
}
