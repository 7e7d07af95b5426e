import { chunksOf } from '../../database/chunks-of.ts'
import type { CompiledQuery, DatabaseConnection as KyselyConnection, QueryResult } from 'kysely'
import type { CommitAnswer, StatementResult } from '../../database/database.ts'
import { savepointStep } from '../../database/statement-kind.ts'
import type { Frame } from './frame.ts'
import { severalStatements } from './several-statements.ts'

/** How Kysely's drivers begin. */
const BEGINS = /^(?:begin|start transaction)\b/
const COMMANDS = { savepoint: 'SAVEPOINT', release: 'RELEASE SAVEPOINT', rollback: 'ROLLBACK TO SAVEPOINT' }
const READS_ONLY = /\bread only\b/

/** A connection of Kysely's in a sandbox: each transaction is a frame, and so is each statement outside of one. */
export class LentFrames implements KyselyConnection {
  readonly #begin: (onlyReads: boolean) => Promise<Frame>
  #frame: Frame | undefined
  /** Whether a statement has begun a transaction that nothing ends, as SAVEPOINT does on SQLite. */
  #isLeftOpen = false

  constructor(begin: (onlyReads: boolean) => Promise<Frame>) {
    this.#begin = begin
  }

  get isInTransaction(): boolean {
    return this.#frame !== undefined || this.#isLeftOpen
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (BEGINS.test(sql)) this.#frame = await this.#begin(READS_ONLY.test(sql))
    else if (sql === 'commit') assertCommitted(await this.#end()?.commit())
    else if (sql === 'rollback') await this.#end()?.rollback()
    else if (this.#frame !== undefined) return (await send(this.#frame, sql, parameters)) as QueryResult<R>
    else return (await this.#alone(sql, parameters)) as QueryResult<R>
    return { rows: [] }
  }

  async #alone(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    const frame = await this.#begin(false)
    try {
      if (frame.takesSeveral) await refuseSavepoint(frame, sql)
      const result = await send(frame, sql, parameters)
      this.#isLeftOpen = savepointStep(sql)?.does === 'savepoint'
      assertCommitted(await frame.commit())
      return result
    } finally {
      await frame.rollback()
    }
  }

  #end(): Frame | undefined {
    const frame = this.#frame
    this.#frame = undefined
    return frame
  }

  /** The rows are read at once. */
  async *streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    const { rows } = await this.executeQuery<R>(query)
    for (const chunk of chunksOf(rows, chunkSize)) yield { rows: chunk }
  }

  /** Rolls back what was left open. */
  async close(): Promise<void> {
    await this.#end()?.rollback()
  }
}

async function send(frame: Frame, sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
  frame.watch(sql, true)
  return await frame.execute(sql, parameters)
}

/** A COMMIT of a failed transaction answers without an error, as in PostgreSQL. */
function assertCommitted(answer: CommitAnswer | undefined): void {
  if (answer !== undefined && 'error' in answer) throw answer.error
}

/** Outside of a transaction PostgreSQL has no savepoints. What comes before one in a text is carried out, and undone. */
async function refuseSavepoint(frame: Frame, sql: string): Promise<void> {
  const statements = severalStatements(sql)
  const steps = statements.map((each) => savepointStep(each))
  const step = steps.find((each) => each !== undefined)
  if (step === undefined) return
  for (const before of statements.slice(0, steps.indexOf(step))) await send(frame, before, [])
  const message = `${COMMANDS[step.does]} can only be used in transaction blocks`
  throw Object.assign(new Error(message), { code: '25P01', severity: 'ERROR' })
}
