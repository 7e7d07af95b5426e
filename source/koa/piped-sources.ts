import { finished } from 'node:stream/promises'
import { Stream, type Readable, type Writable } from 'node:stream'
import { isOver } from './response-end.ts'

/*
 * pipe() passes errors on in neither direction. Koa destroys the last stream of `source.pipe(zip)`; the source lives on, and
 * its error ends the process when nobody listens. The source becomes known when `zip` closes, by the event 'unpipe':
 * https://nodejs.org/api/stream.html#event-unpipe
 */

const SOURCES = Symbol('koa-sqlassist piped sources')

type Destination = Writable & { [SOURCES]?: Set<Readable> }

/** Destroys the sources of `stream` when it ends. Ignores a stream that takes no pipe. */
export function watchSources(stream: unknown): void {
  if (isDestination(stream) && !stream.listeners('unpipe').includes(adopt)) stream.on('unpipe', adopt)
}

/** Whether a stream can be piped into `stream`. */
export function isDestination(stream: unknown): stream is Destination {
  return stream instanceof Stream && 'write' in stream
}

/** Destroys a source that was piped into a stream which is gone. */
function adopt(this: Destination, source: Readable): void {
  const isGone = (this.destroyed as boolean | undefined) ?? isOver(this as never)
  if (!isGone) return
  source.on('error', ignore)
  watchSources(source)
  ;(this[SOURCES] ??= new Set()).add(source)
  // Spares a source that another reader listens to.
  if (source.listenerCount('data') + source.listenerCount('readable') === 0) source.destroy()
}

/**
 * Destroys a body that nobody will read, and its sources. Resolves when all of them are closed or known to go on: a generator
 * runs until its next yield, and its errors go nowhere. Never rejects.
 */
export async function letGo(body: unknown): Promise<void> {
  if (body instanceof Response) return await letGo(body.body)
  if (body instanceof ReadableStream) {
    if (!body.locked) await body.cancel().catch(ignore)
    return
  }
  if (!(body instanceof Stream)) return
  watchSources(body)
  body.on('error', ignore)
  ;(body as Partial<Readable>).destroy?.()
  if (!isDestination(body)) return
  await finished(body, { cleanup: true }).catch(ignore)
  await Promise.all(Array.from(body[SOURCES] ?? [], letGo))
}

/** Destroys a body that is being read: its reader gets `error`, if it has one yet. */
export function breakOff(body: Writable, error: Error): void {
  body.on('error', ignore)
  body.destroy(error)
}

function ignore(): void {}
