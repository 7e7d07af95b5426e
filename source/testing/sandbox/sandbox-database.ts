import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { DatabaseConnection as KyselyConnection } from 'kysely'
import type { BeginOptions } from '../../database/begin-options.ts'
import type { ConnectionSource, ConnectionUser } from '../../database/connection-waits.ts'
import type { Database, PoolSize, ReadingUnit, Reads, Renewal } from '../../database/database.ts'
import { LentConnection, type Provide } from '../../database/lent-connection.ts'
import type { PoolReport } from '../../database/pool-report.ts'
import { Frame } from './frame.ts'
import { contextOf } from './frame-context.ts'
import { FrameReads } from './frame-reads.ts'
import { LentFrames } from './lent-frames.ts'
import { NoDecisions, NothingPrepared } from './no-decisions.ts'
import type { Pin } from './pin.ts'

/** What a database of a sandbox has around it. */
export interface SandboxSurroundings {
  readonly role: string
  /** The pin of its database, open, for what uses it. @throws SandboxNotBegunError; SandboxLeakError for what is of another test */
  readonly pin: (user: ConnectionUser | undefined) => Promise<Pin>
  /** Called before each statement of a frame that only reads. @throws where it would read ahead */
  readonly reads: (pin: Pin, role: string) => void
  /** The unit of work whose code is running. */
  readonly running: () => ConnectionUser | undefined
  /** @throws ConfigurationError where a connection holds rows of a test */
  readonly assertRenewable: () => void
  /** Ends the pin of its database. */
  readonly end: () => Promise<void>
}

/** Stands in for the database of a role: its database transactions are frames on the one connection of a test. */
export class SandboxDatabase implements Database {
  readonly dialect: Database['dialect']
  readonly decisions = new NoDecisions()
  readonly prepared: NothingPrepared | undefined
  readonly #database: Database
  readonly #around: SandboxSurroundings
  #hasWarned = false

  constructor(database: Database, around: SandboxSurroundings) {
    this.#database = database
    this.#around = around
    this.dialect = database.dialect
    this.prepared = database.prepared && new NothingPrepared(database.prepared)
  }

  mayDecide(): void {
    // What is prepared in a sandbox needs no decision.
  }

  reads(_connection: AbstractSqlConnection, em: SqlEntityManager, options: BeginOptions, unit: ReadingUnit): Reads {
    return new FrameReads(() => this.begin({ ...options, readOnly: true }, em, unit))
  }

  async begin(
    { isolationLevel, readOnly = false }: BeginOptions,
    em: SqlEntityManager,
    unit: ReadingUnit,
  ): Promise<Frame> {
    if (isolationLevel !== undefined && !readOnly) this.#warnOfIsolation(isolationLevel)
    return await this.#frame(unit.user, readOnly, contextOf(em))
  }

  async #frame(user: ConnectionUser | undefined, onlyReads: boolean, context?: Frame['context']): Promise<Frame> {
    const { role, reads } = this.#around
    const before = await this.#around.pin(user)
    const turn = before.turns.enter(user, role)
    if (turn !== undefined) await turn
    try {
      // The test may have been rolled back while this waited.
      const pin = await this.#around.pin(user)
      const unitName = user?.name ?? `a session of role "${role}"`
      return new Frame(pin, { role, unitName, onlyReads, context, reads: () => reads(pin, role) })
    } catch (error) {
      before.turns.leave()
      throw error
    }
  }

  #warnOfIsolation(level: string): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    process.emitWarning(
      `The role "${this.#around.role}" asks for isolation level "${level}", which a sandbox does not have: its transactions are ` +
        `savepoints. Use freshDatabase() for tests of that.`,
      { code: 'SQLASSIST_SANDBOX_ISOLATION' },
    )
  }

  async lend<T>(
    _connection: AbstractSqlConnection,
    _provide: Provide,
    consumer: (connection: KyselyConnection) => Promise<T>,
    leftOpen?: () => Error,
  ): Promise<T> {
    const frames = new LentFrames((onlyReads) => this.#frame(this.#around.running(), onlyReads))
    const borrower = leftOpen && {
      role: this.#around.role,
      isInTransaction: () => frames.isInTransaction,
      endLeftOpen: leftOpen,
    }
    try {
      return await LentConnection.lend(frames, consumer, borrower)
    } finally {
      await frames.close()
    }
  }

  /** Its own turns decide who waits. */
  readonly source: ConnectionSource = { isSingle: false, isTaken: false, holders: () => undefined }

  readonly holder = undefined

  async pool(): Promise<PoolReport | undefined> {
    return await this.#database.pool()
  }

  get poolSize(): PoolSize | undefined {
    return this.#database.poolSize
  }

  async allowedConnections(): Promise<number | undefined> {
    return await this.#database.allowedConnections()
  }

  get isInUse(): boolean {
    return this.#database.isInUse
  }

  get reopening(): Promise<void> | undefined {
    return this.#database.reopening
  }

  async renew(connection: AbstractSqlConnection, renewal: Renewal): Promise<void> {
    this.#around.assertRenewable()
    await this.#database.renew(connection, renewal)
  }

  async closing(): Promise<(isClosed: boolean) => void | Promise<void>> {
    await this.#around.end()
    return await this.#database.closing()
  }

  breakOff(): void {
    this.#database.breakOff()
  }
}
