import type { Client } from 'pg'
import { hasSqlState } from './server-errors.ts'
import { LIMITS, type PoolOfClients } from './side-connection.ts'

/** What pg keeps to itself: https://github.com/brianc/node-postgres/blob/master/packages/pg/lib/client.js */
interface Internals {
  readonly connection: { readonly stream: { destroy(): void } }
}

const INSUFFICIENT_PRIVILEGE = '42501'

/** A row, and when it was asked for, by `performance.now()`: not before there was a connection. */
export interface Answered<Row> {
  readonly row: Row
  readonly askedAt: number
}

/** Closes the connection of a client at once: a server that is frozen would not answer a farewell. */
export function cutOff(client: object): void {
  ;(client as Internals).connection.stream.destroy()
}

/**
 * A connection to one server, beside its pool, for short questions. It is opened by the first of them, does not keep the process
 * alive, and is closed where a question is not answered in time.
 */
export class ServerLine {
  readonly #pool: () => Promise<PoolOfClients>
  #opening: Promise<Client> | undefined
  #client: Client | undefined
  #mayAskSystem = true
  /** How often it was closed: what was begun before is over. */
  #closed = 0

  constructor(pool: () => Promise<PoolOfClients>) {
    this.#pool = pool
  }

  /** @throws the driver's error, or one that says that there was no answer in `limitMs`, or that it was closed meanwhile */
  async ask<Row extends object>(sql: string, limitMs: number): Promise<Answered<Row>> {
    const { promise: over, reject } = Promise.withResolvers<never>()
    const late = (): void => reject(new Error(`there was no answer in ${limitMs} ms`))
    // Where this process was busy, the answer is there and was not read: it is, before the next turn but one.
    const timer = setTimeout(() => setImmediate(() => setImmediate(late)), limitMs)
    const closed = this.#closed
    try {
      return await Promise.race([this.#ask<Row>(sql), over])
    } catch (error) {
      if (closed === this.#closed) this.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Asks what `sql` makes; without the number of the cluster where the user may not ask for it. @throws as `ask` */
  async askAs<Row extends object>(sql: (asksSystem: boolean) => string, limitMs: number): Promise<Answered<Row>> {
    try {
      return await this.ask<Row>(sql(this.#mayAskSystem), limitMs)
    } catch (error) {
      if (!this.#mayAskSystem || !isForbidden(error)) throw error
      this.#mayAskSystem = false
      return await this.ask<Row>(sql(false), limitMs)
    }
  }

  async #ask<Row extends object>(sql: string): Promise<Answered<Row>> {
    const client = await (this.#opening ??= this.#open())
    const askedAt = performance.now()
    const { rows } = await client.query<Row>(sql)
    return { row: rows[0] as Row, askedAt }
  }

  async #open(): Promise<Client> {
    const closed = this.#closed
    const { Client: PgClient, options } = await this.#pool()
    if (closed !== this.#closed) throw new Error('the connection was closed before it was open')
    // The password of a pool is not enumerable.
    const client = new PgClient({ ...LIMITS, ...options, password: options.password })
    this.#client = client
    client.on('error', () => this.#forget(client))
    client.on('end', () => this.#forget(client))
    await client.connect()
    // pg has it, and its types do not: https://node-postgres.com/apis/client
    ;(client as unknown as { unref(): void }).unref()
    return client
  }

  #forget(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    this.#opening = undefined
  }

  /** Closes the connection; the next question opens another. */
  close(): void {
    const client = this.#client
    this.#closed++
    this.#client = undefined
    this.#opening = undefined
    if (client !== undefined) cutOff(client)
  }
}

function isForbidden(error: unknown): boolean {
  return hasSqlState(error) && (error as { readonly code: string }).code === INSUFFICIENT_PRIVILEGE
}
