import type { Around, Database, DatabaseConnection, ResultAmong, StatementResult } from '../../database/database.ts'
import { rollBackAndRelease } from '../../database/roll-back-and-release.ts'
import type { StatementKind } from '../../database/statement-kind.ts'
import { SqlassistError } from '../../transaction/index.ts'
import { SandboxLostError } from './errors.ts'

/** The one connection of a database under test, in the one transaction that is never committed. */
export class PinnedConnection {
  readonly dialect: Database['dialect']
  readonly #connection: DatabaseConnection
  #lost: SandboxLostError | undefined
  #isRunning = false

  constructor(connection: DatabaseConnection, dialect: Database['dialect']) {
    this.#connection = connection
    this.dialect = dialect
  }

  /** Whether it takes several statements in one string. */
  get takesSeveral(): boolean {
    return this.dialect === 'postgresql'
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
  async send(role: string, sql: string, parameters: readonly unknown[] = []): Promise<StatementResult> {
    return await this.#running(role, () => this.#connection.execute(sql, parameters))
  }

  /** Sends others of ours around a statement. @throws as `send` */
  async sendAmong(role: string, sql: string, parameters: readonly unknown[], around: Around): Promise<ResultAmong> {
    return await this.#running(role, () => this.#among(sql, parameters, around))
  }

  async #running<T>(role: string, send: () => Promise<T>): Promise<T> {
    if (this.#lost !== undefined) throw this.#lost
    this.#isRunning = true
    try {
      return await send()
    } catch (error) {
      // An error keeps a transaction of PostgreSQL from going on, and ends none.
      const isGone = error instanceof SqlassistError || (this.dialect === 'sqlite' && !this.#connection.isIntact)
      if (!isGone) throw error
      throw this.lose(role, error)
    } finally {
      this.#isRunning = false
    }
  }

  /** From here on nothing is sent. */
  lose(role: string, error: unknown): SandboxLostError {
    return (this.#lost ??= new SandboxLostError(role, error))
  }

  async #among(sql: string, parameters: readonly unknown[], around: Around): Promise<ResultAmong> {
    const connection = this.#connection
    if (connection.executeAmong !== undefined) return await connection.executeAmong(sql, parameters, around)
    const before: StatementResult[] = []
    for (const statement of around.before) before.push(await connection.execute(statement, []))
    const own = await connection.execute(sql, parameters)
    for (const statement of around.behind) await connection.execute(statement, [])
    return { before, own }
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
