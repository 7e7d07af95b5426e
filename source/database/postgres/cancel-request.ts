import type { EventEmitter } from 'node:events'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PoolClient } from 'pg'

/** How long such a request may take in all, where the pool has no limit of its own. */
const LIMIT_MS = 5000

/** What pg keeps to itself of a client and of its connection: https://github.com/brianc/node-postgres/blob/master/packages/pg/lib/connection.js */
interface Internals {
  readonly host: string
  readonly port: number
  readonly processID: number | null
  readonly secretKey: number | null
  readonly ssl: boolean | object
  readonly sslNegotiation: string
  readonly connection: ClientConnection & { readonly constructor: ConnectionClass }
}
type ConnectionClass = new (options: object) => ClientConnection
interface ClientConnection extends EventEmitter {
  /** The socket, or the one that encrypts; without an address where the program made it. */
  readonly stream: Duplex & { readonly remoteAddress?: string }
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
}

/** The options of the pool that concern it. */
export interface CancelOptions {
  /** Makes sockets in place of those of pg. */
  readonly stream?: unknown
  readonly connectionTimeoutMillis?: number
}

/** A request to cancel was not answered. */
class UnansweredCancel extends Error {
  static {
    this.prototype.name = 'UnansweredCancel'
  }
  /** Whether it was sent, and may still arrive. */
  readonly isOnItsWay: boolean

  constructor(message: string, isOnItsWay: boolean, cause?: unknown) {
    super(message, { cause })
    this.isOnItsWay = isOnItsWay
  }
}

/** Whether a request that ended with `error` was sent, and may still cancel something. */
export function mayStillArrive(error: unknown): boolean {
  return error instanceof UnansweredCancel && error.isOnItsWay
}

/**
 * Asks for the statement of `client` to be given up, by the CancelRequest of the protocol: over a connection of its own, to the
 * same address. A pooler knows its clients by the key that goes with it, and the number of a server's process is not theirs.
 * Resolves when the server has closed that connection, which means that the request has arrived.
 * @throws an error where it was not answered
 */
export async function requestCancel(client: PoolClient, options: CancelOptions): Promise<void> {
  const { processID, secretKey, port, host, ssl, sslNegotiation, connection } = client as unknown as Internals
  if (processID === null || secretKey === null) {
    throw new UnansweredCancel('the server gave its client no key for that', false)
  }
  const { stream, connectionTimeoutMillis: limit = LIMIT_MS } = options
  const { constructor: Connection } = connection
  const request = new Connection({ stream, ssl: sslOf(ssl, host), sslNegotiation })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let isSent = false
  const fail = (error: Error): void => reject(new UnansweredCancel(error.message, isSent, error))
  const timer = setTimeout(() => fail(new Error(`there was no answer in ${limit} ms`)), limit)
  request.on('error', fail)
  request.once('errorMessage', fail)
  request.once('end', () => (isSent ? resolve() : fail(new Error('the connection was closed before it was sent'))))
  if (ssl !== false && sslNegotiation !== 'direct') request.once('connect', () => request.requestSsl())
  request.once(ssl === false ? 'connect' : 'sslconnect', () => {
    isSent = true
    request.cancel(processID, secretKey)
  })
  if (host.startsWith('/')) request.connect(`${host}/.s.PGSQL.${port}`)
  // A name may lead to several servers, of which one has the statement. A stream of the program's own knows where it leads.
  else request.connect(port, (stream === undefined ? connection.stream.remoteAddress : undefined) ?? host)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    request.stream.destroy()
  }
}

/** As for the client itself, whose certificate is for the name of the host. */
function sslOf(ssl: boolean | object, host: string): boolean | object {
  if (ssl === false || isIP(host) > 0) return ssl
  const options = ssl === true ? {} : (ssl as { readonly key?: unknown })
  // The key is not enumerable.
  return { servername: host, ...options, ...('key' in options ? { key: options.key } : {}) }
}
