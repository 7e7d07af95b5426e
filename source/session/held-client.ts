import type { PoolClient, QueryResult } from 'pg'
import { beginWithParameters } from './begin-with-parameters.ts'
import { aside, type PoolOfClients } from './postgres-aside.ts'

type Results = QueryResult | QueryResult[]

/** A client out of the pool of an ORM, with the statement that it runs, which can be cancelled. */
export class HeldClient {
  readonly #client: PoolClient
  readonly #pool: PoolOfClients
  /** Statements on their way. */
  #running = 0
  #cancelling: Promise<void> | undefined

  constructor(client: PoolClient, pool: PoolOfClients) {
    this.#client = client
    this.#pool = pool
  }

  /** The number of the server's process. */
  get backend(): number | undefined {
    // pg knows the number, and its types do not: https://node-postgres.com/apis/client
    return (this.#client as { readonly processID?: number }).processID
  }

  /** `'T'` in a transaction, `'E'` in a failed one, `'I'` outside: as of the last answer that was complete. */
  get status(): string | null {
    return this.#client.getTransactionStatus()
  }

  /** Whether the connection is known to be gone. */
  get isLost(): boolean {
    // pg tells only by this field, as pg-pool reads it too:
    // https://github.com/brianc/node-postgres/blob/master/packages/pg-pool/index.js
    return (this.#client as { readonly _queryable?: boolean })._queryable === false
  }

  literal(text: string): string {
    return this.#client.escapeLiteral(text)
  }

  identifier(name: string): string {
    return this.#client.escapeIdentifier(name)
  }

  async query(sql: string, parameters?: readonly unknown[]): Promise<Results> {
    // It would cancel this statement instead of the one before.
    if (this.#cancelling !== undefined) await this.#cancelling
    this.#running++
    try {
      return await send(this.#client, sql, parameters)
    } catch (error) {
      // pg's tells where its socket was read, and not who asked.
      Error.captureStackTrace(error as Error)
      throw error
    } finally {
      this.#running--
    }
  }

  /** In one round trip: what begins a transaction, and a statement with parameters. */
  async beginWith(start: readonly string[], sql: string, parameters: readonly unknown[]): Promise<Results> {
    if (this.#cancelling !== undefined) await this.#cancelling
    this.#running++
    try {
      return await beginWithParameters(this.#client, start, sql, parameters)
    } finally {
      this.#running--
    }
  }

  /** Asks the server to give up the statement on its way, if there is one. */
  cancel(): void {
    const { backend } = this
    if (this.#running > 0 && backend !== undefined) this.#cancelling = cancelBackend(this.#pool, backend)
  }

  /** A request to cancel that is on its way; it never rejects. The backend may serve nobody else before it has arrived. */
  get cancelling(): Promise<void> | undefined {
    return this.#cancelling
  }

  /** Gives the client back, or closes it where it is `broken` or still in a transaction. */
  release(broken = false): void {
    this.#client.release(broken || this.status !== 'I')
  }
}

/** As `client.query()` does it, which goes by way of another promise. */
function send(client: PoolClient, sql: string, parameters: readonly unknown[] | undefined): Promise<Results> {
  return new Promise((resolve, reject) => {
    client.query(sql, parameters as unknown[], (error: Error | null, result) => {
      if (error === null) resolve(result)
      else reject(error)
    })
  })
}

/** By a connection of its own. */
async function cancelBackend(pool: PoolOfClients, processId: number): Promise<void> {
  try {
    await aside(pool, (control) => control.query('select pg_cancel_backend($1)', [processId]))
  } catch (error) {
    process.emitWarning(`A statement could not be cancelled and runs on: ${String(error)}`, {
      code: 'SQLASSIST_CANCEL_FAILED',
    })
  }
}
