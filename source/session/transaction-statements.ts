import type { CompiledQuery } from 'kysely'
import type { CommitAnswer, DatabaseConnection, StatementResult } from '../database/database.ts'
import { CommitOutcomeUnknownError, EndedByStatementError } from '../database/errors.ts'
import type { WalPosition } from '../database/wal-position.ts'
import { savepointStep, type SavepointStep } from '../database/statement-kind.ts'
import { SqlassistError } from '../transaction/index.ts'
import { Failures } from './failures.ts'
import { assertOnlyReads } from './read-only-refusal.ts'
import { Scopes } from './scopes.ts'
import type { SessionSettings } from './session-options.ts'
import type { Statement } from './statement.ts'
import { rowsOfResult, traceStatement, traceStream, type StatementDetails, type Traceable } from './trace.ts'
import { TransactionBeginning } from './transaction-beginning.ts'
import { TransactionEvents, type EventsHost } from './transaction-events.ts'
import { TransactionLog } from './transaction-log.ts'
import { TransactionMode } from './transaction-mode.ts'
import {
  releaseAfter,
  TransactionConnection,
  type ConnectionSource,
  type Predecessor,
} from './transaction-connection.ts'
import { WriteState } from './write-state.ts'

/** The session of a database transaction. */
export interface TransactionHost extends Traceable, EventsHost {
  /** The error for a statement after the end. */
  tooLate(): Error
  /** Notes that a COMMIT was carried out, and where, if the server has said so. */
  committed(position?: WalPosition): void
}

/** Which nested transaction a use of the connection is in, and what may keep it from being sent. */
export interface Place {
  /** In how many nested transactions; 0 is outside of any. */
  readonly depth: number
  readonly signal?: AbortSignal | undefined
}

const OUTERMOST: Place = { depth: 0 }

/** The statements of one database transaction: what they wrote, which of them failed, and where each of them is nested. */
export class TransactionStatements {
  /** What was written, as far as known. */
  readonly writes: WriteState
  readonly mode: TransactionMode
  readonly failures = new Failures()
  readonly scopes: Scopes
  readonly connection: TransactionConnection
  readonly events: TransactionEvents
  readonly log: TransactionLog
  readonly #host: TransactionHost
  readonly #after: Predecessor | undefined
  /** Undefined unless somebody hears of it. */
  #beginning: TransactionBeginning | undefined
  #isSealed = false
  /** What came of a COMMIT that went along with the last statement, where one did. */
  #earlyAnswer: CommitAnswer | undefined

  constructor(host: TransactionHost, settings: SessionSettings, source: ConnectionSource) {
    this.#host = host
    this.writes = new WriteState(settings)
    this.mode = new TransactionMode(settings)
    this.scopes = new Scopes(host.role)
    this.connection = new TransactionConnection(source, this.mode, host)
    this.#after = source.after
    this.events = new TransactionEvents(host)
    this.log = new TransactionLog(host.em, this.mode)
  }

  /** Runs a statement of the program, while no other is on its way. */
  execute(statement: Statement, depth: number): Promise<StatementResult> {
    return this.exclusive(
      (connection) => this.#traced(connection, statement.query, () => this.#send(connection, statement, depth)),
      {
        depth,
        signal: statement.options?.signal,
      },
    )
  }

  /** Runs the last statement, with COMMIT along where `isLast` says so as it is about to be sent. */
  executeAndCommit(statement: Statement, depth: number, isLast: () => boolean): Promise<StatementResult> {
    return this.exclusive(
      (connection) =>
        this.#traced(connection, statement.query, () => {
          const { sql, parameters } = statement.query
          const kind = this.#admit(connection, statement)
          return kind === 'write' && parameters.length === 0 && isLast()
            ? this.#sendLast(connection, sql)
            : connection.execute(sql, parameters)
        }),
      { depth, signal: statement.options?.signal },
    )
  }

  async *stream(statement: Statement, chunkSize: number): AsyncIterable<unknown[]> {
    const place = { depth: this.scopes.depthOf(statement.scope) }
    const connection = await this.exclusive(async (opened) => opened, place)
    const chunks = this.#chunks(connection, statement, chunkSize, place)
    yield* traceStream(
      this.#host,
      statement.query,
      () => detailsOf(connection),
      chunks,
      (rows) => rows.length,
    )
  }

  async *#chunks(
    connection: DatabaseConnection,
    statement: Statement,
    chunkSize: number,
    place: Place,
  ): AsyncIterable<unknown[]> {
    const { sql, parameters } = statement.query
    this.#admit(connection, statement)
    yield* connection.stream(sql, parameters, chunkSize, (work) => this.exclusive(work, place))
  }

  /** Sends a statement of the library's own. */
  async run(sql: string): Promise<void> {
    await this.exclusive((connection) => connection.execute(sql, []), OUTERMOST)
  }

  #traced(
    connection: DatabaseConnection,
    query: CompiledQuery,
    send: () => Promise<StatementResult>,
  ): Promise<StatementResult> {
    return traceStatement(this.#host, query, () => detailsOf(connection), send, rowsOfResult)
  }

  #admit(connection: DatabaseConnection, { query, origin }: Statement): ReturnType<DatabaseConnection['kindOf']> {
    const kind = connection.kindOf(query.sql)
    if (this.isReadOnly) assertOnlyReads(this.#host.role, kind, query.sql)
    this.writes.admit(kind, query, origin)
    if (origin === 'raw') this.mode.note(query.sql)
    connection.watch?.(query.sql, origin === 'raw')
    return kind
  }

  #send(connection: DatabaseConnection, statement: Statement, depth: number): Promise<StatementResult> {
    const { sql, parameters } = statement.query
    this.#admit(connection, statement)
    const executing = connection.execute(sql, parameters)
    const step = savepointStep(sql)
    return step === undefined ? executing : executing.then((result) => (this.#noteStep(step, depth), result))
  }

  /** The program has its own savepoints: what failed since one that it has gone back to, and what was written, is undone. */
  #noteStep(step: SavepointStep, depth: number): void {
    this.writes.noteStep(step)
    if (step.does === 'rollback') this.failures.forgetStatements(depth)
  }

  /**
   * Sends the last statement with COMMIT behind it, unless another waits for its turn. Then the transaction is over, and
   * the connection given back.
   * @throws CommitOutcomeUnknownError; the driver's error when nothing was committed
   */
  async #sendLast(connection: DatabaseConnection, sql: string): Promise<StatementResult> {
    if (connection.executeAndCommit === undefined || this.connection.hasWaiting) {
      return await connection.execute(sql, [])
    }
    const { result, answer } = await connection.executeAndCommit(sql)
    if (answer === undefined) return result
    this.connection.markEnded()
    this.#earlyAnswer = answer
    const releasing = releaseAfter(answer, connection)
    if (releasing !== undefined) await releasing
    this.assertOutcomeKnown()
    this.noteCommitted(this.#earlyAnswer.position)
    return result
  }

  /** Whether what is sent now may only read, in a role that writes. */
  get isReadOnly(): boolean {
    return this.mode.begin.onPrimary === true || this.scopes.isReadOnly
  }

  /** It is committed, at `position` where the server has said so. */
  noteCommitted(position?: WalPosition): void {
    this.log.commit()
    this.events.markCommitted()
    this.#host.committed(position)
  }

  /** @throws CommitOutcomeUnknownError where the answer to an early COMMIT was lost */
  assertOutcomeKnown(): void {
    if (this.#earlyAnswer?.outcome === 'unknown') {
      throw new CommitOutcomeUnknownError(this.#host.role, this.#earlyAnswer.error)
    }
  }

  /** Uses the connection while no other does, and notes a failure and which nested transactions were written in. */
  async exclusive<T>(work: (connection: DatabaseConnection) => Promise<T>, { depth, signal }: Place): Promise<T> {
    // What its subscribers send comes before the first statement, which has the turn.
    const turns = this.#beginning?.turnsHere ?? this.connection
    const turn = turns.enter()
    if (turn !== undefined) await turn
    const { version } = this.writes
    try {
      if (this.#isSealed) throw this.#host.tooLate()
      this.connection.assertOpen()
      const connection = (this.#beginning === undefined ? this.connection.taken : undefined) ?? (await this.#begin())
      // The signal may have fired during the wait for the connection.
      return signal?.aborted === true ? (signal.throwIfAborted() as never) : await work(connection)
    } catch (error) {
      // What was refused here never reached the database.
      const isSent = !(error instanceof SqlassistError) && !(signal?.aborted === true && error === signal.reason)
      if (isSent) this.failures.note(error, depth, false)
      if (error instanceof EndedByStatementError) this.#noteEnd(error)
      throw error
    } finally {
      if (this.writes.version !== version) this.#noteWriteAt(depth)
      turns.leave()
    }
  }

  #begin(): Promise<DatabaseConnection> {
    this.#after?.assertNotInside?.()
    if (this.#beginning === undefined && this.events.hearsStart) {
      this.#beginning = new TransactionBeginning(this.connection, this.events, this.log)
    }
    const beginning = this.#beginning
    if (beginning !== undefined && !beginning.isInside) return this.#beginHeard(beginning)
    return beginning !== undefined || this.log.isSilent ? this.connection.open() : this.#beginLogged()
  }

  async #beginLogged(): Promise<DatabaseConnection> {
    const connection = await this.connection.open()
    this.log.begin()
    return connection
  }

  async #beginHeard(beginning: TransactionBeginning): Promise<DatabaseConnection> {
    try {
      const connection = await beginning.done()
      this.#beginning = undefined
      return connection
    } catch (error) {
      // What a subscriber has sent may be written, and is not to be committed.
      this.failures.note(error, 0, true)
      throw error
    }
  }

  /** No savepoint undoes it. */
  #noteEnd(error: EndedByStatementError): void {
    this.failures.note(error, 0, true)
    if (error.outcome !== 'rolled back') this.#host.committed()
  }

  /** Whether the last statement was committed with it. */
  get committedEarly(): boolean {
    return this.#earlyAnswer?.outcome === 'committed'
  }

  /** Whether it takes no further statement of the program. */
  get isSealed(): boolean {
    return this.#isSealed
  }

  /** Refuses every further statement of the program. */
  seal(): void {
    this.#isSealed = true
  }

  /** A statement of an outer level is undone with every nested transaction that is open meanwhile. */
  #noteWriteAt(depth: number): void {
    for (const scope of this.scopes.deeperThan(depth)) scope.holdsOthersWrites = true
  }
}

function detailsOf({ isFresh, backend, servedBy }: DatabaseConnection): StatementDetails {
  return { inTransaction: true, begins: isFresh, backend, servedBy }
}
