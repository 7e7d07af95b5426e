/** An HTTP/1 and an HTTP/2 server for all lanes, and requests to them whose client can go away. */
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Entry } from './program.ts'

export type Callback = (req: IncomingMessage, res: ServerResponse) => unknown

/** One request, from both sides. */
export interface Exchange {
  /** The status; undefined where the client went away. */
  readonly reply: Promise<number | undefined>
  /** The client goes away; resolves when the server's side of it is closed. */
  leave(): Promise<void>
}

/** How a client goes: by giving up the request, or with its connection. */
export type Farewell = 'reset' | 'disconnect'

interface Started {
  readonly reply: Promise<number | undefined>
  leave(): void
}

export class Servers {
  readonly #waiting = new Map<string, { readonly callback: Callback; readonly closed: () => void }>()
  readonly #http1 = createServer((req, res) => this.#serve(req, res))
  readonly #http2 = createHttp2Server((req, res) =>
    this.#serve(req as unknown as IncomingMessage, res as unknown as ServerResponse),
  )
  readonly #sessions = new Set<ServerHttp2Session>()
  #count = 0

  static async open(): Promise<Servers> {
    const servers = new Servers()
    servers.#http2.on('session', (session) => {
      servers.#sessions.add(session)
      session.on('close', () => servers.#sessions.delete(session))
    })
    for (const server of [servers.#http1, servers.#http2]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    return servers
  }

  request(entry: Exclude<Entry, 'run'>, callback: Callback, farewell: Farewell): Exchange {
    const id = String(++this.#count)
    const closed = Promise.withResolvers<void>()
    this.#waiting.set(id, { callback, closed: () => closed.resolve() })
    const { port } = (entry === 'http/1' ? this.#http1 : this.#http2).address() as AddressInfo
    const started = entry === 'http/1' ? overHttp1(port, id) : overHttp2(port, id, farewell)
    return {
      reply: started.reply,
      async leave() {
        started.leave()
        await closed.promise
      },
    }
  }

  async close(): Promise<void> {
    this.#http1.closeAllConnections()
    for (const session of this.#sessions) session.destroy()
    await Promise.all([this.#http1, this.#http2].map((server) => new Promise((resolve) => server.close(resolve))))
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    const id = String(req.headers['x-play'])
    const { callback, closed } = this.#waiting.get(id)!
    this.#waiting.delete(id)
    res.once('close', closed)
    void callback(req, res)
  }
}

function overHttp1(port: number, id: string): Started {
  const headers = { 'x-play': id }
  const request = httpRequest({ host: '127.0.0.1', port, path: '/', method: 'POST', agent: false, headers })
  const reply = new Promise<number | undefined>((resolve) => {
    request.on('response', (response) => {
      response.on('end', () => resolve(response.statusCode)).on('error', () => resolve(undefined))
      response.resume()
    })
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })
  request.end()
  return { reply, leave: () => void request.destroy() }
}

function overHttp2(port: number, id: string, farewell: Farewell): Started {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  const stream = session.request({ ':path': '/', ':method': 'POST', 'x-play': id })
  let status: number | undefined
  const reply = new Promise<number | undefined>((resolve) => {
    stream.on('response', (headers) => (status = headers[':status']))
    stream.on('error', () => undefined)
    stream.on('end', () => resolve(status))
    stream.on('close', () => {
      session.close()
      resolve(undefined)
    })
    stream.resume()
  })
  stream.end()
  const leave = (): void => {
    if (farewell === 'reset') stream.close(8)
    else session.destroy()
  }
  return { reply, leave }
}
