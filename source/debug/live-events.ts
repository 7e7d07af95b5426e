import { PassThrough, type Readable } from 'node:stream'
import type { Socket } from 'node:net'
import type { RequestLog } from './request-log.ts'

/** How long changes are gathered before an event is sent. */
const GATHER_MS = 100
const BEAT_MS = 1000
/** How often a comment is sent, so that no proxy takes the connection for dead. */
const BEATS_BETWEEN_COMMENTS = 15
/** How much may be buffered for a browser that does not read. */
const BACKLOG_BYTES = 64 * 1024
const STREAMS = 50

interface Listening {
  readonly stream: PassThrough
  readonly socket: Socket
}

/**
 * Sends the ids of changed requests to browsers, as server-sent events. A stream ends when its browser goes away, the panel
 * closes, or the server is closing, which would else wait for it. The timers keep no process alive.
 */
export class LiveEvents {
  readonly #listening = new Set<Listening>()
  readonly #changed = new Set<string>()
  readonly #stop: () => void
  #gathering: NodeJS.Timeout | undefined
  #heart: NodeJS.Timeout | undefined
  #beats = 0
  #closed = false

  constructor(log: RequestLog) {
    this.#stop = log.onChange((id) => this.#note(id))
  }

  /** Opens a stream for the browser at the other end of the socket. */
  open(socket: Socket): Readable {
    const stream = new PassThrough()
    const listening = { stream, socket }
    stream.write('retry: 1000\n\nevent: open\ndata: {}\n\n')
    if (this.#closed) return stream.end()
    for (const oldest of this.#listening) {
      if (this.#listening.size < STREAMS) break
      this.#end(oldest)
    }
    this.#listening.add(listening)
    this.#heart ??= setInterval(() => this.#beat(), BEAT_MS).unref()
    stream.once('close', () => this.#forget(listening))
    return stream
  }

  /** Ends every stream. */
  close(): void {
    this.#closed = true
    this.#stop()
    for (const listening of this.#listening) this.#end(listening)
  }

  #note(id: string): void {
    if (this.#listening.size === 0) return
    this.#changed.add(id)
    this.#gathering ??= setTimeout(() => this.#tell(), GATHER_MS).unref()
  }

  #tell(): void {
    this.#gathering = undefined
    const ids = [...this.#changed]
    this.#changed.clear()
    this.#send(`event: changed\ndata: ${JSON.stringify({ ids })}\n\n`)
  }

  #beat(): void {
    for (const listening of this.#listening) if (!isServed(listening.socket)) this.#end(listening)
    if (++this.#beats % BEATS_BETWEEN_COMMENTS === 0) this.#send(':\n\n')
  }

  #send(text: string): void {
    for (const listening of this.#listening) {
      if (listening.stream.writableLength > BACKLOG_BYTES) listening.stream.destroy()
      else listening.stream.write(text)
    }
  }

  #end(listening: Listening): void {
    listening.stream.end()
    this.#forget(listening)
  }

  #forget(listening: Listening): void {
    this.#listening.delete(listening)
    if (this.#listening.size > 0) return
    clearInterval(this.#heart)
    clearTimeout(this.#gathering)
    this.#heart = undefined
    this.#gathering = undefined
    this.#changed.clear()
  }
}

/** Whether the server is closing: it listens no more, and waits for every connection in use. */
function isServed(socket: Socket): boolean {
  // Not in the types: https://github.com/nodejs/node/blob/v24.0.0/lib/net.js (onconnection)
  const { server } = socket as { readonly server?: { readonly listening?: boolean } }
  return server?.listening !== false
}
