import { chunksOf } from '../chunks-of.ts'
import type { Database as SqliteHandle, Statement } from 'better-sqlite3'
import { TransactionAbortedError } from '../errors.ts'
import type { CommitAnswer, DatabaseConnection, Exclusive, StatementResult } from '../database.ts'
import { control, kindOf, runPrepared } from './sqlite-statements.ts'
import type { StatementKind } from '../statement-kind.ts'
import { waitOutsideOfWal } from './wait-while-busy.ts'

/** One transaction on the only handle of a SQLite database. */
export class SqliteConnection implements DatabaseConnection {
  readonly #handle: SqliteHandle
  readonly #role: string
  readonly #release: () => void
  isFresh = true
  /** The error with which SQLite ended the transaction. */
  #endedBy: unknown
  /** The statement that was prepared to learn its kind, kept for the execution that follows. */
  #prepared: Statement | undefined

  constructor(handle: SqliteHandle, role: string, release: () => void) {
    this.#handle = handle
    this.#role = role
    this.#release = release
  }

  kindOf(sql: string): StatementKind {
    return kindOf(sql, () => this.#prepare(sql))
  }

  async execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    if (!this.isIntact) throw new TransactionAbortedError(this.#role, this.#endedBy)
    const statement = this.#prepare(sql)
    this.isFresh = false
    try {
      return runPrepared(statement, parameters)
    } catch (error) {
      if (!this.isIntact) this.#endedBy = error
      throw error
    }
  }

  async *stream(
    sql: string,
    parameters: readonly unknown[],
    chunkSize: number,
    exclusive: Exclusive,
  ): AsyncIterable<unknown[]> {
    // SQLite has no cursor that survives another statement on its handle, so the rows are read at once.
    const { rows } = await exclusive(() => this.execute(sql, parameters))
    yield* chunksOf(rows, chunkSize)
  }

  async wrote(): Promise<boolean> {
    // SQLite says of each statement whether it writes, and a function cannot write.
    return false
  }

  get isIntact(): boolean {
    // SQLite ends a transaction after some errors: RAISE(ROLLBACK), ON CONFLICT ROLLBACK, disk full, I/O, out of memory.
    return this.#handle.inTransaction
  }

  async isAborted(): Promise<boolean> {
    return !this.isIntact
  }

  async commit(decision?: string): Promise<CommitAnswer> {
    // Outside of the transaction it would be a decision about nothing.
    if (!this.#handle.inTransaction) return { outcome: 'rolled back' }
    try {
      if (decision !== undefined) this.#handle.prepare(decision).run()
      // In a journal mode other than WAL a reader elsewhere holds up a commit.
      await waitOutsideOfWal(this.#handle, () => control(this.#handle, 'commit'))
      return { outcome: 'committed' }
    } catch (error) {
      return { outcome: 'refused', error }
    }
  }

  async rollback(): Promise<void> {
    if (this.#handle.inTransaction) control(this.#handle, 'rollback')
  }

  cancel(): void {
    // A statement of better-sqlite3 is over before anyone could ask.
  }

  release(): undefined {
    this.#release()
  }

  #prepare(sql: string): Statement {
    if (this.#prepared?.source !== sql) this.#prepared = this.#handle.prepare(sql)
    return this.#prepared
  }
}
