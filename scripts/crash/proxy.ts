/**
 * A proxy in front of one PostgreSQL server that stops at every message and asks what is to become of it: the name of its
 * client (`application_name`) is that of a worker or of the recoverer.
 */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import type { Breakage, ProxyHost, Watch } from './passage.ts'
import { ProxyConnection } from './proxy-connection.ts'

export class Proxy implements ProxyHost {
  readonly database: string
  readonly #server = createServer((client) => this.#open(client))
  readonly #sockets = new Set<Socket>()
  readonly #target: number
  /** By global id: sends what was held back, and waits for its answer. */
  readonly heldBack = new Map<string, () => Promise<void>>()
  readonly breakage: Breakage | undefined
  watch: Watch = () => 'pass'
  #count = 0

  constructor(database: string, target: number, breakage?: Breakage) {
    this.database = database
    this.#target = target
    this.breakage = breakage
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #open(client: Socket): void {
    const server = connect({ host: '127.0.0.1', port: this.#target, noDelay: true })
    client.setNoDelay(true)
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    new ProxyConnection(this, client, server, ++this.#count).relay()
  }
}
