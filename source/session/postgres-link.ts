import type { PoolClient, QueryResult } from 'pg'
import type { CommitAnswer, DatabaseLink, Exclusive, PrepareAnswer, StatementResult } from './database-link.ts'
import { beginWithParameters } from './begin-with-parameters.ts'
import { TransactionAbortedError } from './errors.ts'
import { AS_WHO_LOGGED_IN } from './postgres-decisions.ts'
import { finishSql, type Finish } from './postgres-prepared.ts'
import { quoted } from './quoted.ts'
import { statementKind } from './statement-kind.ts'

/** Cancels the statement that a backend of this number runs, by a connection of its own. */
export type CancelBackend = (processId: number) => Promise<void>

export interface PostgresLinkOptions {
  readonly role: string
  /** What begins the transaction. It travels with the first statement. */
  readonly start: readonly string[]
  readonly cancelBackend: CancelBackend
}

const COUNTED = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * A pg client of the ORM's own pool, held by one session.
 *
 * Kysely's ControlledTransaction is not used: it takes the COMMIT of a failed transaction for a success, and a rollback
 * that fails keeps its connection out of the pool for ever (https://github.com/kysely-org/kysely/issues/1990).
 */
export class PostgresLink implements DatabaseLink {
  readonly #client: PoolClient
  readonly #role: string
  /** What begins the transaction; undefined when it was sent. */
  #start: readonly string[] | undefined
  #cursors = 0
  /** pg rejects a query before the server has told the new state of the transaction. */
  #statusIsStale = false
  #firstError: unknown

  readonly #cancelBackend: CancelBackend
  /** A request to cancel that is on its way; it never rejects. The backend may serve nobody else before it has arrived. */
  #cancelling: Promise<void> | undefined
  /** Statements on their way. */
  #running = 0

  constructor(client: PoolClient, { role, start, cancelBackend }: PostgresLinkOptions) {
    this.#client = client
    this.#role = role
    this.#start = start
    this.#cancelBackend = cancelBackend
  }

  get isFresh(): boolean {
    return this.#start !== undefined
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
    await exclusive(() => this.#query(sql, parameters, `declare ${cursor} no scroll cursor for `))
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
    return !this.isFresh && (await this.#freshStatus()) !== 'T'
  }

  async wrote(): Promise<boolean> {
    if (this.isFresh) return false
    const { rows } = await this.execute('select pg_current_xact_id_if_assigned() is not null as wrote', [])
    return (rows[0] as { wrote: boolean }).wrote
  }

  isLost(error: unknown): boolean {
    return (error as { readonly severity?: string } | undefined)?.severity !== 'ERROR'
  }

  async commit(decision?: string): Promise<CommitAnswer> {
    if (this.isFresh && decision === undefined) return { outcome: 'committed' }
    return await this.#end('committed', 'COMMIT', decision === undefined ? 'commit' : `${decision}; commit`)
  }

  async prepare(gid: string): Promise<PrepareAnswer> {
    return await this.#end('prepared', 'PREPARE', `${AS_WHO_LOGGED_IN}; prepare transaction ${quoted(gid)}`)
  }

  async finishPrepared(gid: string, how: Finish): Promise<void> {
    await this.#client.query(finishSql(gid, how))
  }

  /** In one simple query. A transaction that failed earlier answers COMMIT and PREPARE with ROLLBACK, and no error. */
  async #end<Done>(done: Done, tag: string, sql: string) {
    // pg tells only by this field that a connection is gone already, as pg-pool reads it too:
    // https://github.com/brianc/node-postgres/blob/master/packages/pg-pool/index.js
    if ((this.#client as { readonly _queryable?: boolean })._queryable === false) return { outcome: 'lost' as const }
    // COMMIT outside of a transaction would answer like one that had something to commit.
    if (await this.#isGone().catch(() => true)) return { outcome: 'rolled back' as const }
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

  /** Sends the program's `sql`, behind `ahead`. @throws TransactionAbortedError where it would run in autocommit */
  async #query(sql: string, parameters: readonly unknown[] = [], ahead = ''): Promise<QueryResult | QueryResult[]> {
    if (await this.#isGone()) throw new TransactionAbortedError(this.#role, this.#firstError)
    const start = this.#start
    this.#start = undefined
    this.#running++
    try {
      if (start !== undefined) return await this.#begin(start, sql, parameters, ahead)
      return await this.#client.query(ahead + sql, parameters as unknown[])
    } catch (error) {
      this.#statusIsStale = true
      this.#firstError ??= error
      moveBack(error, ahead.length)
      throw error
    } finally {
      this.#running--
    }
  }

  async #begin(start: readonly string[], sql: string, parameters: readonly unknown[], ahead: string) {
    if (parameters.length > 0) {
      return withoutFirst(start.length, await beginWithParameters(this.#client, start, ahead + sql, parameters))
    }
    const text = `${start.join(';')};`
    try {
      return withoutFirst(start.length, await this.#client.query(text + ahead + sql))
    } catch (error) {
      moveBack(error, Array.from(text).length)
      throw error
    }
  }

  /**
   * Whether BEGIN was sent and there is no transaction all the same. Where a simple query has a syntax error, nothing of
   * it runs, not even the BEGIN in front.
   */
  async #isGone(): Promise<boolean> {
    if (this.isFresh || this.#client.getTransactionStatus() !== 'I') return false
    return (await this.#freshStatus()) === 'I'
  }

  async #freshStatus(): Promise<string | null> {
    if (this.#statusIsStale) {
      // The empty query is allowed in a failed transaction and brings the state with its answer.
      await this.#client.query('')
      this.#statusIsStale = false
    }
    return this.#client.getTransactionStatus()
  }
}

/** The results of a string that had `count` statements of ours in front. */
function withoutFirst(count: number, result: QueryResult | QueryResult[]): QueryResult | QueryResult[] {
  const results = Array.isArray(result) ? result.slice(count) : []
  return results.length === 1 ? (results[0] as QueryResult) : results
}

/** Where an error is, PostgreSQL tells as a number of characters from the beginning of what was sent. */
function moveBack(error: unknown, characters: number): void {
  const located = error as { position?: string | undefined }
  if (located.position === undefined || characters === 0) return
  const position = Number(located.position) - characters
  located.position = position > 0 ? String(position) : undefined
}
