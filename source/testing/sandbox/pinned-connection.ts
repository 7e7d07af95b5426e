import type { Around, Database, DatabaseConnection, StatementResult } from '../../database/database.ts'
import { rollBackAndRelease } from '../../database/roll-back-and-release.ts'
import type { StatementKind } from '../../database/statement-kind.ts'
import { SqlassistError } from '../../transaction/index.ts'
import { SandboxLostError } from './errors.ts'

/** The one connection of a database under test, in the one transaction that is never committed. */
export class PinnedConnection {
  readonly #connection: DatabaseConnection
  /** Whether an error keeps the transaction from going on. */
  readonly #isPostgres: boolean
  #lost: SandboxLostError | undefined
  #isRunning = false

  constructor(connection: DatabaseConnection, dialect: Database['dialect']) {
    this.#connection = connection
    this.#isPostgres = dialect === 'postgresql'
  }

  /** Whether it takes several statements in one string. */
  get takesSeveral(): boolean {
    return this.#isPostgres
  }

  get backend(): number | undefined {
    return this.#connection.backend
  }

  /** Whether the database refuses everything but the way back to a savepoint. */
  get isFailed(): boolean {
    return this.#lost === undefined && !this.#connection.isIntact
  }

  /** Set once its transaction is gone. */
  get lost(): SandboxLostError | undefined {
    return this.#lost
  }

  kindOf(sql: string): StatementKind {
    return this.#connection.kindOf(sql)
  }

  watch(sql: string, isRaw: boolean): void {
    this.#connection.watch?.(sql, isRaw)
  }

  /** @throws SandboxLostError, or the driver's error */
  async send(
    role: string,
    sql: string,
    parameters: readonly unknown[] = [],
    around?: Around,
  ): Promise<StatementResult> {
    if (this.#lost !== undefined) throw this.#lost
    this.#isRunning = true
    try {
      return await (around === undefined
        ? this.#connection.execute(sql, parameters)
        : this.#among(sql, parameters, around))
    } catch (error) {
      const isGone = error instanceof SqlassistError || (!this.#isPostgres && !this.#connection.isIntact)
      if (!isGone) throw error
      throw (this.#lost = new SandboxLostError(role, error))
    } finally {
      this.#isRunning = false
    }
  }

  async #among(sql: string, parameters: readonly unknown[], around: Around): Promise<StatementResult> {
    const connection = this.#connection
    if (connection.executeAmong !== undefined) return await connection.executeAmong(sql, parameters, around)
    for (const statement of around.before) await connection.execute(statement, [])
    const result = await connection.execute(sql, parameters)
    for (const statement of around.behind) await connection.execute(statement, [])
    return result
  }

  /** Sends several statements that answer nothing. @throws as `send` */
  async sendAll(role: string, statements: readonly string[]): Promise<void> {
    if (this.takesSeveral) await this.send(role, statements.join(';'))
    else for (const sql of statements) await this.send(role, sql)
  }

  cancel(): void {
    if (this.#isRunning) this.#connection.cancel()
  }

  /** Rolls back, and gives the connection back. */
  async end(): Promise<void> {
    await rollBackAndRelease(this.#connection)
  }
}
