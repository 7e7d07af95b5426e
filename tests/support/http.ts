/**
 * A Koa application on a port of its own, and requests to it, each over a connection of its own.
 *
 *     const served = await serve(app)
 *     const reply = await served.request('POST', '/articles', { body: { title: 'a' } })
 *     reply.status; reply.headers; reply.text; reply.json()
 *     const exchange = served.open('GET', '/slow'); exchange.destroy(); await served.idle()
 *     await served.close()
 */
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { EventEmitter } from 'node:events'
import { until } from './until.ts'

/** As much of a Koa application as is needed here. */
export interface Application extends EventEmitter {
  callback(): (req: IncomingMessage, res: ServerResponse) => unknown
}

export interface RequestOptions {
  headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON, a string as it is. */
  body?: unknown
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  json(): any
}

/** A request whose progress the test follows, or ends. */
export interface Exchange {
  /** The head of the answer; nothing of its body is read before the caller reads it or awaits `reply`. */
  readonly head: Promise<IncomingMessage>
  /** The whole answer; rejects when the exchange is destroyed first. */
  reply(): Promise<Reply>
  /** The client goes away. */
  destroy(): void
}

export interface Served {
  readonly url: string
  readonly port: number
  /** What the application emitted as 'error', in order; Koa prints nothing. */
  readonly errors: Error[]
  /** The server's side of every exchange so far. */
  readonly exchanges: readonly { readonly req: IncomingMessage; readonly res: ServerResponse }[]
  request(method: string, path: string, options?: RequestOptions): Promise<Reply>
  open(method: string, path: string, options?: RequestOptions): Exchange
  /** Waits until every response so far is closed, however it ended. */
  idle(): Promise<void>
  /** Cuts what is still open. */
  close(): Promise<void>
}

export async function serve(app: Application): Promise<Served> {
  const errors: Error[] = []
  const exchanges: { req: IncomingMessage; res: ServerResponse }[] = []
  const keep = (error: Error) => void errors.push(error)
  app.on('error', keep)
  const answer = app.callback()
  const server = createServer((req, res) => {
    exchanges.push({ req, res })
    void answer(req, res)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const open = (method: string, path: string, options?: RequestOptions) => openExchange(port, method, path, options)

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    errors,
    exchanges,
    open,
    request: (method, path, options) => open(method, path, options).reply(),
    idle: () => until(() => exchanges.every(({ res }) => res.closed || res.destroyed), 'every response to be closed'),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      app.off('error', keep)
    },
  }
}

function openExchange(port: number, method: string, path: string, { headers, body }: RequestOptions = {}): Exchange {
  const json = body !== undefined && typeof body !== 'string'
  const outgoing = httpRequest({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent: false,
    headers: { ...(json && { 'content-type': 'application/json' }), ...headers },
  })
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
  })
  head.catch(() => undefined) // a test that destroys an exchange need not look at it
  outgoing.end(json ? JSON.stringify(body) : body)
  return { head, reply: () => readReply(head), destroy: () => void outgoing.destroy() }
}

async function readReply(head: Promise<IncomingMessage>): Promise<Reply> {
  const message = await head
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString('utf8')
  return { status: message.statusCode ?? 0, headers: message.headers, text, json: () => JSON.parse(text) }
}
