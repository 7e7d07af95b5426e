import type { PoolClient, QueryResult } from 'pg'
import type { CommitAnswer, DatabaseLink, Exclusive, PrepareAnswer, StatementResult } from './database-link.ts'
import { AS_WHO_LOGGED_IN } from './postgres-decisions.ts'
import { finishSql, type Finish } from './postgres-prepared.ts'
import { quoted } from './quoted.ts'
import { statementKind } from './statement-kind.ts'

/** Cancels the statement that a backend of this number runs, by a connection of its own. */
export type CancelBackend = (processId: number) => Promise<void>

const COUNTED = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * A pg client of the ORM's own pool, held by one session.
 *
 * Kysely's ControlledTransaction is not used: it takes the COMMIT of a failed transaction for a success, and a rollback
 * that fails keeps its connection out of the pool for ever (https://github.com/kysely-org/kysely/issues/1990).
 */
export class PostgresLink implements DatabaseLink {
  readonly #client: PoolClient
  #cursors = 0
  /** pg rejects a query before the server has told the new state of the transaction. */
  #statusIsStale = false

  readonly #cancelBackend: CancelBackend
  /** A request to cancel that is on its way; it never rejects. The backend may serve nobody else before it has arrived. */
  #cancelling: Promise<void> | undefined
  /** Statements on their way. */
  #running = 0

  constructor(client: PoolClient, cancelBackend: CancelBackend) {
    this.#client = client
    this.#cancelBackend = cancelBackend
  }

  kindOf = statementKind

  get backend(): number | undefined {
    // pg knows the number, and its types do not: https://node-postgres.com/apis/client
    return (this.#client as { readonly processID?: number }).processID
  }

  async execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    const result = await this.#query(sql, parameters)
    const { rows, rowCount, command } = Array.isArray(result) ? ({ rows: [] } as Partial<QueryResult>) : result
    const counted = command !== undefined && COUNTED.has(command)
    return { rows: rows ?? [], command, numAffectedRows: counted ? BigInt(rowCount ?? 0) : undefined }
  }

  /** By a cursor of the server's, so that other statements of the same transaction may run between two chunks. */
  async *stream(
    sql: string,
    parameters: readonly unknown[],
    chunkSize: number,
    exclusive: Exclusive,
  ): AsyncIterable<unknown[]> {
    const cursor = `sqlassist_${++this.#cursors}`
    await exclusive(() => this.#query(`declare ${cursor} no scroll cursor for ${sql}`, parameters))
    let finished = false
    try {
      while (!finished) {
        const { rows } = await exclusive(() => this.execute(`fetch ${chunkSize} from ${cursor}`, []))
        finished = rows.length < chunkSize
        if (rows.length > 0) yield rows
      }
    } finally {
      // A failed statement has closed the cursor together with everything else of the transaction.
      await exclusive(async () => {
        if (!(await this.isAborted())) await this.#query(`close ${cursor}`)
      })
    }
  }

  async isAborted(): Promise<boolean> {
    if (this.#statusIsStale) {
      this.#statusIsStale = false
      // The empty query is allowed in a failed transaction and brings the state with its answer.
      await this.#client.query('')
    }
    return this.#client.getTransactionStatus() === 'E'
  }

  async wrote(): Promise<boolean> {
    const { rows } = await this.execute('select pg_current_xact_id_if_assigned() is not null as wrote', [])
    return (rows[0] as { wrote: boolean }).wrote
  }

  isLost(error: unknown): boolean {
    return (error as { readonly severity?: string } | undefined)?.severity !== 'ERROR'
  }

  async commit(decision?: string): Promise<CommitAnswer> {
    return await this.#end('committed', 'COMMIT', decision === undefined ? 'commit' : `${decision}; commit`)
  }

  async prepare(gid: string): Promise<PrepareAnswer> {
    return await this.#end('prepared', 'PREPARE', `${AS_WHO_LOGGED_IN}; prepare transaction ${quoted(gid)}`)
  }

  async finishPrepared(gid: string, how: Finish): Promise<void> {
    await this.#query(finishSql(gid, how))
  }

  /** In one simple query. A transaction that failed earlier answers COMMIT and PREPARE with ROLLBACK, and no error. */
  async #end<Done>(done: Done, tag: string, sql: string) {
    // pg tells only by this field that a connection is gone already, as pg-pool reads it too:
    // https://github.com/brianc/node-postgres/blob/master/packages/pg-pool/index.js
    if ((this.#client as { readonly _queryable?: boolean })._queryable === false) return { outcome: 'lost' as const }
    try {
      const result = await this.#query(sql)
      const command = (Array.isArray(result) ? result.at(-1) : result)?.command
      return { outcome: command === tag ? done : ('rolled back' as const) }
    } catch (error) {
      // Only an error of severity ERROR is the database's answer; anything else came instead of one.
      return { outcome: this.isLost(error) ? ('unknown' as const) : ('refused' as const), error }
    }
  }

  async rollback(): Promise<void> {
    await this.#cancelling
    if (this.#client.getTransactionStatus() !== 'I' || this.#statusIsStale) await this.#client.query('rollback')
    this.#statusIsStale = false
  }

  cancel(): void {
    const { backend } = this
    if (this.#running > 0 && backend !== undefined) this.#cancelling = this.#cancelBackend(backend)
  }

  release(broken = false): void {
    this.#client.release(broken || this.#client.getTransactionStatus() !== 'I')
  }

  async #query(sql: string, parameters?: readonly unknown[]): Promise<QueryResult | QueryResult[]> {
    this.#running++
    try {
      return await this.#client.query(sql, parameters as unknown[])
    } catch (error) {
      this.#statusIsStale = true
      throw error
    } finally {
      this.#running--
    }
  }
}
