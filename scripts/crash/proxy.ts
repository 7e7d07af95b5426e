/**
 * A proxy in front of one PostgreSQL server that stops at every message and asks what is to become of it: the name of its
 * client (`application_name`) is that of a worker or of the recoverer.
 */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { ProxyConnection } from './proxy-connection.ts'
import type { Side, Step } from './steps.ts'

/** One message on its way to the server, or the whole of the answer to one on its way back. */
export interface Passage {
  /** Which database this proxy stands before. */
  readonly database: string
  /** The client's application_name. */
  readonly client: string
  readonly connection: number
  readonly step: Step
  readonly side: Side
  readonly text: string
  /** Breaks the connection for the client, at once; the server hears of it after the verdict. */
  cutClient(): void
}

/**
 * `pass`: it goes on. `cut`: it is lost, and the connection with it. `late`: a request whose client is cut off still
 * reaches the server, which carries it out before it sees the end of the connection.
 */
export type Verdict = 'pass' | 'cut' | 'late'
export type Watch = (passage: Passage) => Verdict | Promise<Verdict>

/** A protocol made wrong on purpose sits between the client and the server here. */
export interface Breakage {
  /** Whether the client gets a successful answer while the message waits to be sent. */
  holdsBack(passage: Passage): boolean
}

export class Proxy {
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
