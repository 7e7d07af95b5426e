import type { PoolClient, QueryResult } from 'pg'
import { beginWithParameters } from './begin-with-parameters.ts'
import { mayStillArrive, requestCancel } from './cancel-request.ts'
import { ConnectionLostError } from '../errors.ts'
import type { PoolOfClients } from './side-connection.ts'
import { hasSqlState, isLost, whenAnswered } from './server-errors.ts'

type Results = QueryResult | QueryResult[]

/**
 * A client out of the pool of an ORM, with the statement that it runs, which can be cancelled.
 *
 * An error with a SQLSTATE, on a connection that lives on, is the server's answer to its statement. Where the connection is
 * lost, each statement throws a ConnectionLostError, and the server's last word, or the network's, is its cause.
 */
export class PooledClient {
  readonly #client: PoolClient
  readonly #pool: PoolOfClients
  readonly #role: string
  /** Statements on their way. */
  #running = 0
  #cancelling: Promise<void> | undefined
  /** A request to cancel that was given up may still arrive. */
  #mayBeCancelled = false
  /** Why the connection was lost: pg emits what it hears between two statements. */
  #lastWord: unknown
  #isUnanswered = false
  /** pg gave up a statement that the server may still be at. */
  #statusIsStale = false

  constructor(client: PoolClient, pool: PoolOfClients, role: string) {
    this.#client = client
    this.#pool = pool
    this.#role = role
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
    return new ConnectionLostError(this.#role, this.#lastWord ?? cause)
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
    if (this.#cancelling !== undefined) await this.#cancelling
    if (this.isLost) throw this.lost()
    this.#running++
    try {
      const results = await send(this.#client, sql, parameters)
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
   * refuses a text of several. @throws as `query`
   */
  async beginWith(
    start: readonly string[],
    sql: string,
    parameters: readonly unknown[],
    end: readonly string[] = [],
  ): Promise<Results> {
    if (this.#cancelling !== undefined) await this.#cancelling
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
    if (this.#running === 0 || this.#cancelling !== undefined) return
    this.#cancelling = this.#requestCancel().finally(() => (this.#cancelling = undefined))
  }

  async #requestCancel(): Promise<void> {
    try {
      await requestCancel(this.#client, this.#pool.options)
    } catch (error) {
      this.#mayBeCancelled = mayStillArrive(error)
      process.emitWarning(`A statement of role "${this.#role}" could not be cancelled and runs on: ${String(error)}`, {
        code: 'SQLASSIST_CANCEL_FAILED',
      })
    }
  }

  /**
   * Gives the client back, or closes it where it is `broken`, lost or still in a transaction. A request to cancel that
   * is on its way could hit the next one to be served. So its answer comes first, with a promise that never rejects, and
   * without an answer the client is closed.
   */
  release(broken = false): Promise<void> | undefined {
    if (this.#cancelling !== undefined && !this.isLost) return this.#cancelling.then(() => this.#giveBack(broken))
    this.#giveBack(broken)
    return undefined
  }

  #giveBack(broken: boolean): void {
    const isReusable = !broken && !this.#mayBeCancelled && this.status === 'I'
    this.#client.off('error', this.#hear)
    this.#client.release(!isReusable)
  }
}

/** As `client.query()` does it, which goes by way of another promise. */
function send(client: PoolClient, sql: string, parameters: readonly unknown[] | undefined): Promise<Results> {
  return new Promise((resolve, reject) => {
    client.query(sql, parameters as unknown[], (error: Error | null, result) => {
      if (error === null) resolve(result)
      else whenAnswered(client, error, reject)
    })
  })
}
