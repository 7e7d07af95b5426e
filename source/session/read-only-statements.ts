import type { Admit, Reads, StatementResult } from '../database/database.ts'
import type { ServedBy } from '../database/replicas.ts'
import { asReadOnlyError } from './read-only-refusal.ts'
import type { Executor, Statement } from './statement.ts'
import { rowsOfResult, traceStatement, traceStream, type StatementDetails, type Traceable } from './trace.ts'
import type { WriteState } from './write-state.ts'

/** The session that statements outside of a transaction belong to. */
export interface ReadingHost extends Traceable {
  assertUsable(): void
  track<Row>(rows: AsyncIterable<Row>): AsyncIterableIterator<Row>
}

/** The statements of a read-only session without a transaction: each is looked at before it is sent. */
export class ReadOnlyStatements implements Executor {
  readonly #host: ReadingHost
  readonly #writes: WriteState
  readonly #open: () => Reads
  readonly #reads: Reads
  /** Other instances, whose statements can be cancelled without these. */
  readonly #beside = new Set<ReadOnlyStatements>()

  constructor(host: ReadingHost, writes: WriteState, open: () => Reads) {
    this.#host = host
    this.#writes = writes
    this.#open = open
    this.#reads = open()
  }

  execute(statement: Statement): Promise<StatementResult> {
    try {
      this.#host.assertUsable()
    } catch (error) {
      return Promise.reject(error)
    }
    const sending = new Sending(this.#host, this.#writes, statement)
    const send = () =>
      this.#reads.execute(statement.query, sending.admit, statement.options).catch((error) => sending.fail(error))
    return traceStatement(this.#host, statement.query, sending.details, send, rowsOfResult)
  }

  stream(statement: Statement, chunkSize: number): AsyncIterable<unknown[]> {
    const sending = new Sending(this.#host, this.#writes, statement)
    const chunks = sending.stream(this.#reads, chunkSize)
    return traceStream(this.#host, statement.query, sending.details, chunks, ({ length }) => length)
  }

  track<Row>(rows: AsyncIterable<Row>): AsyncIterableIterator<Row> {
    return this.#host.track(rows)
  }

  async apart<T>(work: (own: Executor) => Promise<T>): Promise<T> {
    this.#host.assertUsable()
    const own = new ReadOnlyStatements(this.#host, this.#writes, this.#open)
    this.#beside.add(own)
    try {
      return await work(own)
    } finally {
      this.#beside.delete(own)
    }
  }

  cancelStatement(): void {
    this.#reads.cancel()
  }

  /** Has the database give up everything, also what runs apart. */
  cancelAll(): void {
    this.cancelStatement()
    for (const each of this.#beside) each.cancelStatement()
  }
}

/** One statement, and which backend it went to. */
class Sending {
  readonly #host: ReadingHost
  readonly #writes: WriteState
  readonly #statement: Statement
  #backend: number | undefined
  #servedBy: ServedBy | undefined

  constructor(host: ReadingHost, writes: WriteState, statement: Statement) {
    this.#host = host
    this.#writes = writes
    this.#statement = statement
  }

  /** Checks once more: the wait for the connection may have outlasted the need for it. */
  readonly admit: Admit = (kind, backend, servedBy) => {
    this.#backend = backend
    this.#servedBy = servedBy
    this.#statement.options?.signal?.throwIfAborted()
    this.#host.assertUsable()
    this.#writes.admit(kind, this.#statement.query, 'orm')
    return this.#statement.origin === 'raw'
  }

  async *stream(reads: Reads, chunkSize: number): AsyncIterable<unknown[]> {
    const { query, options } = this.#statement
    try {
      yield* reads.stream(query, chunkSize, this.admit, options)
    } catch (error) {
      this.fail(error)
    }
  }

  /** @throws ReadOnlySessionError where the database refused a write, else the error as it is */
  fail(error: unknown): never {
    throw asReadOnlyError(this.#host.facts.role, this.#statement.query.sql, error)
  }

  readonly details = (): StatementDetails => ({
    inTransaction: false,
    begins: false,
    backend: this.#backend,
    servedBy: this.#servedBy,
  })
}
