import { chunksOf } from '../chunks-of.ts'
import type { AbstractSqlConnection } from '@mikro-orm/sql'
import type { Database as SqliteHandle, Statement } from 'better-sqlite3'
import type { AbortableOperationOptions, CompiledQuery } from 'kysely'
import type { Admit, Reads, StatementResult } from '../database.ts'
import { kindOf, runPrepared } from './sqlite-statements.ts'
import { waitOutsideOfWal } from './wait-while-busy.ts'

/** Reads outside of any transaction; Kysely's mutex gives the one handle to one of them at a time. */
export class SqliteReads implements Reads {
  readonly #connection: AbstractSqlConnection

  constructor(connection: AbstractSqlConnection) {
    this.#connection = connection
  }

  async execute(
    { sql, parameters }: CompiledQuery,
    admit: Admit,
    options?: AbortableOperationOptions,
  ): Promise<StatementResult> {
    await this.#connection.ensureConnection()
    const executor = this.#connection.getClient().getExecutor()
    return await executor.provideConnection(async () => {
      // The one before may have been replaced while this waited.
      const handle = (await this.#connection.getNativeClient()) as SqliteHandle
      return await waitOutsideOfWal(handle, () => {
        let statement: Statement | undefined
        const prepare = () => (statement ??= handle.prepare(sql))
        admit(kindOf(sql, prepare))
        return runPrepared(prepare(), parameters)
      })
    }, options)
  }

  async *stream(
    query: CompiledQuery,
    chunkSize: number,
    admit: Admit,
    options?: AbortableOperationOptions,
  ): AsyncIterable<unknown[]> {
    // As in a transaction: an open cursor would keep the one handle from every other statement of the role.
    const { rows } = await this.execute(query, admit, options)
    yield* chunksOf(rows, chunkSize)
  }

  cancel(): void {
    // A statement of better-sqlite3 is over before anyone could ask.
  }
}
