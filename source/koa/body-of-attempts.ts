import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { NotRetriedError } from '../unit/errors.ts'

const READ_BEFORE =
  'the body of the request was read by the attempt before and is gone, and this one reads it again; parse it before dbSessions'

/**
 * The body of a request that may be attempted again. What one attempt has read of it, the next one cannot: a parser would get
 * nothing, fail, or wait for ever. Many parsers find what they kept on ctx.request.body, and do not read again.
 */
export class BodyOfAttempts {
  readonly #req: IncomingMessage
  /** As it was before the first attempt. */
  readonly #didRead: boolean
  readonly #flowing: boolean | null
  /** Whether somebody listens who did not before the first attempt, as far as that is looked at. */
  #isHeard = false

  constructor(req: IncomingMessage) {
    this.#req = req
    this.#didRead = req.readableDidRead
    this.#flowing = req.readableFlowing
    // A part was read, or all of it and the end is not known yet.
    if (this.#didRead && !req.readableEnded) {
      req.on('newListener', (event) => void (this.#isHeard ||= isOfReader(event)))
    }
  }

  /** Whether an attempt has read of it, or has begun to. */
  get wasRead(): boolean {
    const { readableDidRead, readableFlowing } = this.#req
    return this.#isHeard || readableDidRead !== this.#didRead || readableFlowing !== this.#flowing
  }

  /** Whether there is none, as the head of the request says. */
  get isEmpty(): boolean {
    const { headers } = this.#req
    const { stream } = this.#req as unknown as Partial<Http2ServerRequest>
    if (stream !== undefined) return stream.endAfterHeaders
    return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
  }

  /**
   * Does the work of another attempt, `before` being the error of the last one. Where that has read, and this one would as
   * well, it fails at once, and nobody waits for `work`. @throws NotRetriedError; what `work` throws
   */
  async again(before: unknown, work: () => Promise<void>): Promise<void> {
    const req = this.#req
    const read = Promise.withResolvers<never>()
    const refuse = (): void => read.reject(new NotRetriedError(READ_BEFORE, before))
    const hear = (event: string | symbol): void => {
      // Who iterates gets nothing once more where there was nothing.
      if (isOfReader(event) && !(event === 'readable' && this.isEmpty)) refuse()
    }
    req.on('newListener', hear)
    // Where the stream has ended, raw-body and those built on it stop it without listening. Node 26 has no event of that.
    const pause = req.pause.bind(req)
    req.pause = () => {
      refuse()
      return pause()
    }
    try {
      await Promise.race([read.promise, work()])
    } catch (error) {
      throw isNotReadable(error) ? new NotRetriedError(READ_BEFORE, before) : error
    } finally {
      req.off('newListener', hear)
      Reflect.deleteProperty(req, 'pause')
    }
  }
}

function isOfReader(event: string | symbol): boolean {
  return event === 'data' || event === 'readable'
}

/** Whether it is the error of raw-body for a stream that has ended: https://github.com/stream-utils/raw-body#errors */
function isNotReadable(error: unknown): boolean {
  return (error as { readonly type?: unknown } | undefined)?.type === 'stream.not.readable'
}
