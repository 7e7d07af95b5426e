import type { PoolClient } from 'pg'
import { beginWithParameters } from './begin-with-parameters.ts'
import { Cancels } from './cancels.ts'
import type { CarriedOut } from './carried-out.ts'
import { ConnectionLostError } from '../errors.ts'
import { distrust } from './distrusted-pool.ts'
import { queryNoting } from './query-noting.ts'
import { sendQuery, type Results } from './send-query.ts'
import type { PoolOfClients } from './side-connection.ts'
import { hasSqlState, isLost, orLost, untilReady } from './server-errors.ts'
import { WriteAccess } from './write-access.ts'

/** Whose client it is. */
export interface ClientOwner {
  readonly pool: PoolOfClients
  readonly role: string
}

/**
 * A client of pg, with the statement that it runs, which can be cancelled.
 *
 * An error with a SQLSTATE, on a connection that lives on, is the server's answer to its statement. Where the connection is
 * lost, each statement throws a ConnectionLostError, and the server's last word, or the network's, is its cause. A
 * connection to a server that cannot write any more is given up, and then is as one that was lost.
 */
export class SendingClient {
  protected readonly client: PoolClient
  readonly #owner: ClientOwner
  /** Undefined where it only reads. */
  readonly #access: WriteAccess | undefined
  /** Statements on their way. */
  #running = 0
  readonly #cancels: Cancels
  /** Why the connection was lost: pg emits what it hears between two statements. */
  #lastWord: unknown
  #isUnanswered = false
  /** pg gave up a statement that the server may still be at. */
  #statusIsStale = false

  /** `writes`: it may write. */
  constructor(client: PoolClient, owner: ClientOwner, writes: boolean) {
    this.client = client
    this.#owner = owner
    this.#access = writes ? new WriteAccess() : undefined
    this.#cancels = new Cancels(client, owner.pool.options, owner.role)
    client.on('error', this.#hear)
  }

  readonly #hear = (error: unknown): void => {
    this.#lastWord ??= error
  }

  /** The number of the server's process. */
  get backend(): number | undefined {
    // pg knows the number, and its types do not: https://node-postgres.com/apis/client
    return (this.client as { readonly processID?: number | null }).processID ?? undefined
  }

  /** `'T'` in a transaction, `'E'` in a failed one, `'I'` outside; null where that is not known without asking. */
  get status(): string | null {
    return this.#statusIsStale || this.isLost ? null : this.client.getTransactionStatus()
  }

  /** Whether a transaction is open; undefined where that is not known. */
  get isInTransaction(): boolean | undefined {
    const { status } = this
    return status === null ? undefined : status !== 'I'
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
    return isLost(this.client)
  }

  /** Whether it was lost while a statement was under way, which may have been carried out. */
  get isUnanswered(): boolean {
    return this.#isUnanswered
  }

  /** The error of everything that is asked of a lost connection. `cause`: where there is no word of it yet. */
  lost(cause?: unknown): ConnectionLostError {
    return new ConnectionLostError(this.#owner.role, this.#lastWord ?? cause)
  }

  literal(text: string): string {
    return this.client.escapeLiteral(text)
  }

  identifier(name: string): string {
    return this.client.escapeIdentifier(name)
  }

  /**
   * `carried`, for a string without parameters, gets what was carried out of it, also before an error.
   * @throws ConnectionLostError, or the driver's error
   */
  async query(sql: string, parameters?: readonly unknown[], carried?: CarriedOut): Promise<Results> {
    // A cancel on its way would hit this statement instead of the one before.
    if (this.#cancels.underWay !== undefined) await this.#cancels.underWay
    if (this.isLost) throw this.lost()
    this.#access?.note(sql)
    this.#running++
    if (carried !== undefined) carried.sentAt = performance.now()
    try {
      const results = await (carried === undefined
        ? sendQuery(this.client, sql, parameters)
        : queryNoting(this.client, sql, carried))
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
   * In one round trip: `start`, such as what begins a transaction, one statement, and `end`. Each is one to the server, which
   * refuses a text of several. `carried` gets what was carried out, also before an error. @throws as `query`
   */
  async beginWith(
    start: readonly string[],
    sql: string,
    parameters: readonly unknown[],
    end: readonly string[] = [],
    carried?: CarriedOut,
  ): Promise<Results> {
    if (this.#cancels.underWay !== undefined) await this.#cancels.underWay
    if (this.isLost) throw this.lost()
    for (const statement of start) this.#access?.note(statement)
    this.#access?.note(sql)
    this.#running++
    if (carried !== undefined) carried.sentAt = performance.now()
    try {
      return await beginWithParameters(this.client, start, sql, parameters, end, carried)
    } catch (error) {
      throw this.#judged(error)
    } finally {
      this.#running--
    }
  }

  /** Has Kysely send a statement. Its errors stay as they are, unless the server cannot write. */
  async send<T>(sql: string, statement: () => Promise<T>): Promise<T> {
    if (this.#cancels.underWay !== undefined) await this.#cancels.underWay
    this.#access?.note(sql)
    this.#running++
    try {
      const result = await statement()
      this.#statusIsStale = false
      return result
    } catch (error) {
      this.#statusIsStale = !hasSqlState(error)
      throw this.#givenUp(error) ?? error
    } finally {
      this.#running--
    }
  }

  /** Waits for an answer, which may never come where the connection is lost. @throws ConnectionLostError then */
  orLost<T>(answer: Promise<T>): Promise<T> {
    return orLost(this.client, answer, () => this.lost())
  }

  /** Decides what the error of a statement that was sent is: the server's answer, or what came instead of one. */
  #judged(error: unknown): unknown {
    const isTheServers = hasSqlState(error)
    if (!this.isLost) {
      this.#statusIsStale = !isTheServers
      return this.#givenUp(error) ?? error
    }
    this.#isUnanswered = true
    if (isTheServers || this.#lastWord === undefined) this.#lastWord = error
    return this.lost()
  }

  /** Gives the connection up where its server cannot write any more. */
  #givenUp(error: unknown): ConnectionLostError | undefined {
    if (this.#access?.isRefusedBy(error) !== true) return undefined
    this.#lastWord = error
    distrust(this.#owner.pool)
    this.close()
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

  /** Whether a request to cancel that was given up may still arrive. */
  protected get mayBeCancelled(): boolean {
    return this.#cancels.mayStillArrive
  }

  /** Waits until the server is through with what was sent, as far as pg knows. */
  protected async untilReady(): Promise<void> {
    if (!this.#statusIsStale) await untilReady(this.client)
  }

  /** Hears no more of what becomes of the connection. */
  protected leave(): void {
    this.client.off('error', this.#hear)
  }

  /** Closes the connection, whose client no pool takes back. */
  close(): void {
    this.client.end(() => undefined)
  }
}
