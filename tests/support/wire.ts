/**
 * A recording proxy in front of PostgreSQL: what was really sent, over which connection and in how many round trips, and
 * the means to make the network slow, hold a message or its answer, cut a connection at a chosen message, or be down.
 *
 *     const wire = await openWire(url)
 *     ... connect to wire.url ...
 *     wire.sql()                                      // ['begin', 'insert into ...', 'commit']
 *     wire.trips()                                    // [{ connection: 1, messages: ['begin;insert into ...'] }, ...]
 *     const held = wire.hold(/^commit/, 'answer')     // the server has committed, the client does not know yet
 *     await held.reached; ...; held.release()
 *     wire.cut(/^commit/, 'after')                    // committed, and the answer is lost
 */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CANCEL_REQUEST,
  cStrings,
  ENCRYPTION_REQUESTS,
  MessageReader,
  startUpCode,
  translated,
  type PgMessage,
} from './pg-messages.ts'
import { splitSql } from './split-sql.ts'

/** One message that made the server run SQL: a simple query, or the Bind of a prepared statement. */
export interface SqlMessage {
  /** Sessions are numbered from 1 in the order they were opened; cancel requests do not count. */
  readonly connection: number
  readonly text: string
  readonly protocol: 'simple' | 'extended'
}

export interface Statement {
  readonly connection: number
  readonly sql: string
}

/** Messages that travelled together: from the first one sent while nothing was awaited to the ReadyForQuery that left nothing awaited. */
export interface Trip {
  readonly connection: number
  readonly messages: readonly string[]
}

export type Match = RegExp | ((message: SqlMessage) => boolean)

export interface Hold {
  /** Resolves when the first matching message is held: not yet sent to the server, or answered by it in full. */
  readonly reached: Promise<void>
  /** How many messages matched so far. */
  readonly count: number
  /** Lets everything go that is held, and holds nothing more. */
  release(): void
}

export interface Cut {
  readonly done: Promise<void>
}

export interface Wire {
  /** The url that was given, by way of the proxy. */
  readonly url: string
  /** Every statement sent since the last reset, in order; a simple query of several statements gives each of them. */
  statements(): Statement[]
  /** The SQL of statements(). */
  sql(): string[]
  /** The same, one entry for each message, unsplit. */
  messages(): SqlMessage[]
  /**
   * The round trips completed since the last reset. Messages written apart differ from waiting ones only on a slow
   * network: measure pipelining with `delay`. Fetches from a cursor are part of the trip that ends with its Sync.
   */
  trips(): Trip[]
  /** Forgets what was recorded. */
  reset(): void
  /** Milliseconds that each direction takes, from now on. */
  delay(ms: { toServer?: number; toClient?: number }): void
  /** Has the server's severities translated, as those of a server with such `lc_messages`: `{ ERROR: 'FEHLER' }`. */
  translate(words: Readonly<Record<string, string>>): void
  /** Has clients get invented numbers of their backends, as from a pooler; a cancel request with such a number reaches the real one. */
  inventBackends(invent: (real: number) => number): void
  /** Holds every matching message before the server gets it, or its whole answer before the client gets it. */
  hold(match: Match, at: 'request' | 'answer'): Hold
  /** Holds every cancel request before the server gets it. */
  holdCancels(): Hold
  /** Cuts the connection at the next matching message, once: before the server gets it, or after the server has answered and before the client knows. */
  cut(match: Match, when: 'before' | 'after'): Cut
  /** Cuts every open connection now. */
  cutAll(): void
  /** Cuts every connection and refuses new ones until up(). */
  down(): Promise<void>
  up(): Promise<void>
  /** Open sessions. */
  readonly connections: number
  /** Cancel requests seen since the last reset. */
  readonly cancels: number
  close(): Promise<void>
}

interface Rule {
  readonly match: Match
  readonly at: 'request' | 'answer'
  /** False cuts the connection. */
  act(): Promise<boolean> | boolean
}

/** What one ReadyForQuery answers: a simple query, or everything up to a Sync. */
interface Unit {
  readonly answerRules: Rule[]
  readonly held: Buffer[]
}

export async function openWire(target: string): Promise<Wire> {
  const proxy = new WireProxy(target)
  await proxy.up()
  return proxy
}

class WireProxy implements Wire {
  readonly #target: URL
  readonly #server = createServer((client) => this.#open(client))
  readonly #sockets = new Set<Socket>()
  readonly delays = { toServer: 0, toClient: 0 }
  readonly rules = new Set<Rule>()
  readonly cancelRules = new Set<Rule>()
  words: Readonly<Record<string, string>> | undefined
  invent: ((real: number) => number) | undefined
  /** By the invented number. */
  readonly realBackends = new Map<number, number>()
  #port = 0
  #messages: SqlMessage[] = []
  #trips: Trip[] = []
  #cancels = 0
  #numbered = 0
  #connections = 0

  constructor(target: string) {
    this.#target = new URL(target)
  }

  get url(): string {
    const url = new URL(this.#target)
    url.hostname = '127.0.0.1'
    url.port = String(this.#port)
    return url.href
  }

  get connections(): number {
    return this.#connections
  }

  get cancels(): number {
    return this.#cancels
  }

  statements(): Statement[] {
    return this.#messages.flatMap(({ connection, text, protocol }) =>
      (protocol === 'simple' ? splitSql(text) : [text]).map((sql) => ({ connection, sql })),
    )
  }

  sql(): string[] {
    return this.statements().map(({ sql }) => sql)
  }

  messages(): SqlMessage[] {
    return [...this.#messages]
  }

  trips(): Trip[] {
    return [...this.#trips]
  }

  reset(): void {
    this.#messages = []
    this.#trips = []
    this.#cancels = 0
  }

  delay(ms: { toServer?: number; toClient?: number }): void {
    Object.assign(this.delays, ms)
  }

  translate(words: Readonly<Record<string, string>>): void {
    this.words = words
  }

  inventBackends(invent: (real: number) => number): void {
    this.invent = invent
  }

  hold(match: Match, at: 'request' | 'answer'): Hold {
    return this.#hold(this.rules, match, at)
  }

  holdCancels(): Hold {
    return this.#hold(this.cancelRules, () => true, 'request')
  }

  #hold(rules: Set<Rule>, match: Match, at: 'request' | 'answer'): Hold {
    const reached = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    let count = 0
    const rule: Rule = {
      match,
      at,
      async act() {
        count += 1
        reached.resolve()
        await released.promise
        return true
      },
    }
    rules.add(rule)
    return {
      reached: reached.promise,
      get count() {
        return count
      },
      release: () => {
        rules.delete(rule)
        released.resolve()
      },
    }
  }

  cut(match: Match, when: 'before' | 'after'): Cut {
    const done = Promise.withResolvers<void>()
    const rule: Rule = {
      match,
      at: when === 'before' ? 'request' : 'answer',
      act: () => {
        this.rules.delete(rule)
        done.resolve()
        return false
      },
    }
    this.rules.add(rule)
    return { done: done.promise }
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async down(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cutAll()
    await closed
  }

  async up(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.down()
  }

  started(): number {
    this.#connections += 1
    return ++this.#numbered
  }

  ended(): void {
    this.#connections -= 1
  }

  cancelled(): void {
    this.#cancels += 1
  }

  record(message: SqlMessage): void {
    this.#messages.push(message)
  }

  recordTrip(trip: Trip): void {
    this.#trips.push(trip)
  }

  #open(client: Socket): void {
    const server = connect({ host: this.#target.hostname, port: Number(this.#target.port || 5432), noDelay: true })
    client.setNoDelay(true)
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    new WireConnection(this, client, server).relay()
  }
}

class WireConnection {
  readonly #wire: WireProxy
  readonly #client: Socket
  readonly #server: Socket
  readonly #prepared = new Map<string, string>()
  readonly #awaited: Unit[] = []
  /** Extended-protocol messages gather in one unit until their Sync. */
  #open: Unit | undefined
  #trip: string[] = []
  #number = 0

  constructor(wire: WireProxy, client: Socket, server: Socket) {
    this.#wire = wire
    this.#client = client
    this.#server = server
  }

  relay(): void {
    const fromClient = new MessageReader({ startUp: true })
    const fromServer = new MessageReader({ startUp: false })
    this.#relay(this.#client, this.#server, 'toServer', fromClient, (message) => this.#fromClient(message))
    this.#relay(this.#server, this.#client, 'toClient', fromServer, (message) => this.#fromServer(message))
    this.#client.once('close', () => {
      if (this.#number > 0) this.#wire.ended()
    })
  }

  /** Keeps the order of one direction, also while a message waits. */
  #relay(
    from: Socket,
    to: Socket,
    direction: 'toServer' | 'toClient',
    reader: MessageReader,
    handle: (message: PgMessage) => Promise<boolean>,
  ): void {
    let tail = Promise.resolve()
    const deliver = async (chunk: Buffer, due: number) => {
      const early = due - performance.now()
      if (early > 0) await sleep(early)
      for (const message of reader.push(chunk)) {
        if (!(await handle(message))) return this.#destroy()
      }
    }
    from.on('data', (chunk: Buffer) => {
      const due = performance.now() + this.#wire.delays[direction]
      tail = tail.then(() => deliver(chunk, due))
    })
    from.on('end', () => {
      tail = tail.then(() => void to.end())
    })
    // a broken connection breaks at both ends; its error is the business of the client that waits
    from.on('error', () => this.#destroy())
    from.on('close', () => {
      tail = tail.then(() => void to.destroy())
    })
  }

  async #fromClient(message: PgMessage): Promise<boolean> {
    if (message.type === '') return this.#startUp(message)
    const sql = this.#sqlOf(message)
    const unit = this.#unitOf(message)
    if (sql) {
      this.#wire.record(sql)
      this.#trip.push(sql.text)
      for (const rule of this.#rulesFor(sql)) {
        if (rule.at === 'answer') unit?.answerRules.push(rule)
        else if (!(await rule.act())) return false
      }
    }
    if (unit && !this.#awaited.includes(unit)) this.#awaited.push(unit)
    this.#server.write(message.bytes)
    return true
  }

  async #startUp(message: PgMessage): Promise<boolean> {
    const code = startUpCode(message)
    if (ENCRYPTION_REQUESTS.includes(code)) {
      this.#client.write('N')
      return true
    }
    if (code === CANCEL_REQUEST) {
      this.#wire.cancelled()
      // Behind the length and the code.
      const backend = this.#wire.realBackends.get(message.bytes.readInt32BE(8))
      if (backend !== undefined) message.bytes.writeInt32BE(backend, 8)
      for (const rule of this.#wire.cancelRules) await rule.act()
    } else this.#number = this.#wire.started()
    this.#server.write(message.bytes)
    return true
  }

  #sqlOf({ type, body }: PgMessage): SqlMessage | undefined {
    if (type === 'Q') return { connection: this.#number, text: cStrings(body, 1)[0] ?? '', protocol: 'simple' }
    if (type === 'P') {
      const [name = '', text = ''] = cStrings(body, 2)
      this.#prepared.set(name, text)
    }
    if (type !== 'B') return undefined
    const [, name = ''] = cStrings(body, 2)
    return { connection: this.#number, text: this.#prepared.get(name) ?? '', protocol: 'extended' }
  }

  /** Passwords, COPY data and the goodbye are no part of a unit: no ReadyForQuery answers them. */
  #unitOf({ type }: PgMessage): Unit | undefined {
    if ('pdcfX'.includes(type)) return undefined
    const unit = this.#open ?? { answerRules: [], held: [] }
    this.#open = 'QSF'.includes(type) ? undefined : unit
    return unit
  }

  #rulesFor(message: SqlMessage): Rule[] {
    return [...this.#wire.rules].filter(({ match }) =>
      typeof match === 'function' ? match(message) : match.test(message.text),
    )
  }

  async #fromServer(message: PgMessage): Promise<boolean> {
    const unit = this.#awaited[0]
    if (message.type === 'K') this.#invent(message.body)
    const bytes = this.#wire.words && message.type === 'E' ? translated(message, this.#wire.words) : message.bytes
    if (!unit) {
      this.#client.write(bytes)
      return true
    }
    unit.held.push(bytes)
    const complete = message.type === 'Z'
    if (unit.answerRules.length > 0) {
      if (!complete) return true
      for (const rule of unit.answerRules) {
        if (!(await rule.act())) return false
      }
    }
    if (complete) this.#answered()
    this.#client.write(Buffer.concat(unit.held.splice(0)))
    return true
  }

  #invent(keyData: Buffer): void {
    const real = keyData.readInt32BE(0)
    const invented = this.#wire.invent?.(real)
    if (invented === undefined) return
    this.#wire.realBackends.set(invented, real)
    keyData.writeInt32BE(invented, 0)
  }

  #answered(): void {
    this.#awaited.shift()
    if (this.#awaited.length > 0) return
    this.#wire.recordTrip({ connection: this.#number, messages: this.#trip })
    this.#trip = []
  }

  #destroy(): void {
    this.#client.destroy()
    this.#server.destroy()
  }
}
