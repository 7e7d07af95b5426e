import type { PoolClient, QueryResult } from 'pg'
import { beginWithParameters } from './begin-with-parameters.ts'
import { Cancels } from './cancels.ts'
import type { ConnectionUser } from '../connection-waits.ts'
import { ConnectionLostError } from '../errors.ts'
import { LeftBehind } from '../left-behind.ts'
import type { Relations } from '../relations.ts'
import { BEFORE_ROLLBACK, CLEAN, deallocate, PREPARED, UNLOCK } from './cleaning.ts'
import { noteHolder } from './held-clients.ts'
import { queryWithTags } from './query-with-tags.ts'
import { sendQuery, type Results } from './send-query.ts'
import { ReportedSettings } from './reported-settings.ts'
import type { PoolOfClients } from './side-connection.ts'
import { hasSqlState, isLost, orLost, untilReady } from './server-errors.ts'

/** What a client has around it. */
export interface ClientSurroundings {
  readonly pool: PoolOfClients
  readonly role: string
  readonly relations: () => Relations
  /** Sets a client up as a new one is. @throws where only a new one can be */
  readonly setUp: (client: PoolClient, held: PooledClient) => Promise<void>
  /** Whether something else has taken the client, and gives it back. */
  readonly isLent?: boolean
}

/**
 * A client out of the pool of an ORM, with the statement that it runs, which can be cancelled.
 *
 * An error with a SQLSTATE, on a connection that lives on, is the server's answer to its statement. Where the connection is
 * lost, each statement throws a ConnectionLostError, and the server's last word, or the network's, is its cause.
 */
export class PooledClient {
  readonly #client: PoolClient
  readonly #around: ClientSurroundings
  readonly #settings: ReportedSettings
  /** What may be left on the connection, which then goes back only when it is clean. */
  readonly left: LeftBehind
  /** It was reset, and not set up since as a new one is. */
  #isReset = false
  /** Who it is taken for. Undefined once it is about to come back. */
  user: ConnectionUser | undefined
  /** Statements on their way. */
  #running = 0
  readonly #cancels: Cancels
  /** Why the connection was lost: pg emits what it hears between two statements. */
  #lastWord: unknown
  #isUnanswered = false
  /** pg gave up a statement that the server may still be at. */
  #statusIsStale = false

  constructor(client: PoolClient, around: ClientSurroundings, user?: ConnectionUser) {
    this.#client = client
    this.user = user
    noteHolder(client, this)
    this.#around = around
    this.#settings = ReportedSettings.of(client)
    this.left = new LeftBehind(around.relations)
    this.#cancels = new Cancels(client, around.pool.options, around.role)
    client.on('error', this.#hear)
  }

  readonly #hear = (error: unknown): void => {
    this.#lastWord ??= error
  }

  /** The number of the server's process. */
  get backend(): number | undefined {
    // pg knows the number, and its types do not: https://node-postgres.com/apis/client
    return (this.#client as { readonly processID?: number | null }).processID ?? undefined
  }

  /** `'T'` in a transaction, `'E'` in a failed one, `'I'` outside; null where that is not known without asking. */
  get status(): string | null {
    return this.#statusIsStale || this.isLost ? null : this.#client.getTransactionStatus()
  }

  /** The status, asked of the server where it is not known. @throws ConnectionLostError */
  async freshStatus(): Promise<string | null> {
    // The empty query is allowed in a failed transaction and brings the state with its answer.
    if (this.status === null) await this.query('')
    return this.status
  }

  get isRunning(): boolean {
    return this.#running > 0
  }

  /** Whether the connection is known to be gone. */
  get isLost(): boolean {
    return isLost(this.#client)
  }

  /** Whether it was lost while a statement was under way, which may have been carried out. */
  get isUnanswered(): boolean {
    return this.#isUnanswered
  }

  /** The error of everything that is asked of a lost connection. `cause`: where there is no word of it yet. */
  lost(cause?: unknown): ConnectionLostError {
    return new ConnectionLostError(this.#around.role, this.#lastWord ?? cause)
  }

  literal(text: string): string {
    return this.#client.escapeLiteral(text)
  }

  identifier(name: string): string {
    return this.#client.escapeIdentifier(name)
  }

  /** @throws ConnectionLostError, or the driver's error */
  async query(sql: string, parameters?: readonly unknown[]): Promise<Results> {
    // A cancel on its way would hit this statement instead of the one before.
    if (this.#cancels.underWay !== undefined) await this.#cancels.underWay
    if (this.isLost) throw this.lost()
    this.#running++
    try {
      const results = await sendQuery(this.#client, sql, parameters)
      this.#statusIsStale = false
      return results
    } catch (error) {
      // The stack that pg made shows where its socket was read, and not who asked.
      Error.captureStackTrace(error as Error)
      throw this.#judged(error)
    } finally {
      this.#running--
    }
  }

  /**
   * Rolls back, behind `ahead`. In the same round trip goes what is left on the connection since BEGIN. @throws as `query`
   */
  async rollBack(ahead = ''): Promise<Results> {
    // Behind an error nothing but ROLLBACK is carried out.
    const isOpen = this.status === 'T'
    if (!this.left.isPossible) return await this.query(`${ahead}rollback`)
    const sql = isOpen ? `${ahead}${BEFORE_ROLLBACK}rollback` : `rollback;${UNLOCK};${PREPARED}`
    const results = await this.query(sql)
    await this.wasCleaned(results, isOpen ? -2 : -1)
    return results
  }

  /** Notes that what is left was removed. What SQL has prepared is listed by the result at `prepared`, and dropped. */
  async wasCleaned(results: Results, prepared: number): Promise<void> {
    await deallocate((results as QueryResult[]).at(prepared)?.rows, (sql) => this.query(sql))
    this.left.clear()
  }

  /**
   * Ends a transaction by `sql`, and removes what is left on the connection in the same round trip. `tags` gets the command tags
   * of what was carried out, also where something behind it fails. @throws as `query`
   */
  async endClean(sql: string, tags: string[]): Promise<void> {
    await this.#clean(`${sql};`, tags)
  }

  async #clean(ahead = '', tags: string[] = []): Promise<void> {
    if (this.#cancels.underWay !== undefined) await this.#cancels.underWay
    if (this.isLost) throw this.lost()
    this.#running++
    try {
      await this.wasCleaned(await queryWithTags(this.#client, `${ahead}${CLEAN};${PREPARED}`, tags), -1)
      this.#isReset = true
    } catch (error) {
      throw this.#judged(error)
    } finally {
      this.#running--
    }
  }

  /**
   * In one round trip: `start`, such as what begins a transaction, one statement, and `end`. Each is one to the server, which
   * refuses a text of several. @throws as `query`
   */
  async beginWith(
    start: readonly string[],
    sql: string,
    parameters: readonly unknown[],
    end: readonly string[] = [],
  ): Promise<Results> {
    if (this.#cancels.underWay !== undefined) await this.#cancels.underWay
    if (this.isLost) throw this.lost()
    this.#running++
    try {
      return await beginWithParameters(this.#client, start, sql, parameters, end)
    } catch (error) {
      throw this.#judged(error)
    } finally {
      this.#running--
    }
  }

  /** Has Kysely send a statement, whose errors stay as they are. */
  async send<T>(statement: () => Promise<T>): Promise<T> {
    if (this.#cancels.underWay !== undefined) await this.#cancels.underWay
    this.#running++
    try {
      const result = await statement()
      this.#statusIsStale = false
      return result
    } catch (error) {
      this.#statusIsStale = !hasSqlState(error)
      throw error
    } finally {
      this.#running--
    }
  }

  /** Waits for an answer, which may never come where the connection is lost. @throws ConnectionLostError then */
  orLost<T>(answer: Promise<T>): Promise<T> {
    return orLost(this.#client, answer, () => this.lost())
  }

  /** Decides what the error of a statement that was sent is: the server's answer, or what came instead of one. */
  #judged(error: unknown): unknown {
    const isTheServers = hasSqlState(error)
    if (!this.isLost) {
      this.#statusIsStale = !isTheServers
      return error
    }
    this.#isUnanswered = true
    if (isTheServers || this.#lastWord === undefined) this.#lastWord = error
    return this.lost()
  }

  /** Asks the server to give up the statement on its way, if there is one. */
  cancel(): void {
    if (this.#running > 0) this.#cancels.send()
  }

  /** The request for that, on its way; it never rejects. */
  get cancelling(): Promise<void> | undefined {
    return this.#cancels.underWay
  }

  /** Takes the settings as they are now for those that the next one is to find. */
  takeSettings(): void {
    this.#settings.markClean()
  }

  /**
   * Gives the client back, or closes it where it is `broken`, lost or still in a transaction. A request to cancel that
   * is on its way could hit the next one to be served. So its answer comes first, with a promise that never rejects, and
   * without an answer the client is closed. One that may have something left on it is cleaned first; nobody waits for that,
   * unless it is known what is left.
   */
  release(broken = false): Promise<void> | undefined {
    this.user = undefined
    const { underWay } = this.#cancels
    if (underWay !== undefined && !this.isLost) return underWay.then(() => this.#giveBack(broken))
    return this.#giveBack(broken)
  }

  #giveBack(broken: boolean): Promise<void> | undefined {
    const isAwaited = this.left.isCertain
    const cleaning = this.#letGoClean(broken)
    return isAwaited ? cleaning : undefined
  }

  /** Does the same for a client that something else gives back; `answer` is called where nobody has to wait for the rest. */
  async handOver(answer: () => void): Promise<void> {
    const { underWay } = this.#cancels
    if (underWay !== undefined && !this.isLost) await underWay
    if (!this.#statusIsStale) await untilReady(this.#client)
    // Raw SQL may have begun a transaction.
    if (this.status !== null && this.status !== 'I') await this.rollBack().catch(() => undefined)
    const isAwaited = this.left.isCertain
    const cleaning = this.#letGoClean(false)
    if (cleaning !== undefined && !isAwaited) answer()
    await cleaning
  }

  /** Lets the client go; with a promise, which never rejects, where it is cleaned first. */
  #letGoClean(broken: boolean): Promise<void> | undefined {
    noteHolder(this.#client, undefined)
    const isReusable = !broken && !this.#cancels.mayStillArrive && this.status === 'I'
    const isDirty = this.left.isPossible || !(this.#isReset || this.#settings.areClean)
    if (isReusable && (isDirty || this.#isReset)) return this.#cleanAndLetGo(isDirty)
    this.#letGo(isReusable)
    return undefined
  }

  async #cleanAndLetGo(isDirty: boolean): Promise<void> {
    let isClean = false
    try {
      if (isDirty) await this.#clean()
      await this.#around.setUp(this.#client, this)
      this.#settings.markClean()
      isClean = this.status === 'I'
    } catch {
      // A new one takes its place.
    }
    this.#letGo(isClean)
  }

  #letGo(isReusable: boolean): void {
    this.#client.off('error', this.#hear)
    if (this.#around.isLent !== true) this.#client.release(!isReusable)
    else if (!isReusable) this.close()
  }

  /** Closes the connection, whose client no pool takes back. */
  close(): void {
    this.#client.end(() => undefined)
  }
}
