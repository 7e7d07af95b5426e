/**
 * A Koa application over HTTP/2, in the clear, and requests to it, each over a session of its own.
 *
 *     const served = await serveHttp2(app)
 *     const exchange = served.open('/slow'); exchange.leave('reset'); await served.idle(); await served.close()
 */
import {
  connect,
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Application } from './http.ts'
import { until } from './until.ts'

/** How a client goes away: by giving its stream up, by closing it as if all were well, or with its whole connection. */
export const LEAVINGS = ['reset', 'close', 'disconnect'] as const
export type Leaving = (typeof LEAVINGS)[number]

export interface Http2Exchange {
  /** The whole answer; undefined where there is none, or not all of it. */
  readonly reply: Promise<{ readonly status: number; readonly text: string } | undefined>
  /** Resolves with the first part of the body. */
  readonly begun: Promise<void>
  leave(how: Leaving): void
}

export interface ServedHttp2 {
  readonly errors: Error[]
  /** Without `body` the request is not ended, unless its method has none. */
  open(path: string, method?: string, body?: string): Http2Exchange
  /** Waits until every stream of the server so far is gone. */
  idle(): Promise<void>
  close(): Promise<void>
}

export async function serveHttp2(app: Application): Promise<ServedHttp2> {
  const errors: Error[] = []
  const keep = (error: Error) => void errors.push(error)
  app.on('error', keep)
  const responses: Http2ServerResponse[] = []
  const sessions = new Set<ServerHttp2Session>()
  const answer = app.callback() as unknown as (req: Http2ServerRequest, res: Http2ServerResponse) => unknown
  const server = createServer((req, res) => {
    responses.push(res)
    void answer(req, res)
  })
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    errors,
    open: (path, method = 'GET', body) => openExchange(`http://127.0.0.1:${port}`, path, method, body),
    idle: () => until(() => responses.every(({ stream }) => stream.destroyed), 'every stream to be gone'),
    async close() {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
      app.off('error', keep)
    },
  }
}

function openExchange(authority: string, path: string, method: string, body: string | undefined): Http2Exchange {
  const session = connect(authority)
  session.on('error', () => undefined)
  const stream = session.request({ ':path': path, ':method': method })
  if (body !== undefined) stream.end(body)
  const begun = Promise.withResolvers<void>()
  const reply = new Promise<{ status: number; text: string } | undefined>((resolve) => {
    let status = 0
    let text = ''
    let whole = false
    stream.setEncoding('utf8')
    stream.on('response', (headers) => (status = headers[':status'] ?? 0))
    stream.on('data', (chunk: string) => {
      text += chunk
      begun.resolve()
    })
    stream.on('end', () => (whole = true))
    stream.on('error', () => undefined)
    stream.on('close', () => {
      session.close()
      resolve(whole && stream.rstCode === constants.NGHTTP2_NO_ERROR ? { status, text } : undefined)
    })
  })
  const leave = (how: Leaving): void => {
    if (how === 'disconnect') session.destroy()
    else stream.close(how === 'reset' ? constants.NGHTTP2_CANCEL : constants.NGHTTP2_NO_ERROR)
  }
  return { reply, begun: begun.promise, leave }
}
