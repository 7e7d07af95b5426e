import { chunksOf } from '../../database/chunks-of.ts'
import type {
  CommitAnswer,
  DatabaseConnection,
  Doubt,
  Exclusive,
  PrepareAnswer,
  StatementResult,
} from '../../database/database.ts'
import type { Finish } from '../../database/prepared.ts'
import { savepointStep, type SavepointStep, type StatementKind } from '../../database/statement-kind.ts'
import { SqlassistError } from '../../transaction/index.ts'
import type { FrameStack } from './frame-stack.ts'
import type { FrameContext } from './frame-context.ts'
import type { OpenFrame } from './framed.ts'
import type { Pin } from './pin.ts'
import { severalStatements } from './several-statements.ts'
import { UncountedWrites } from './uncounted-writes.ts'

/** What a frame is for. */
export interface FrameOptions {
  readonly role: string
  readonly unitName: string
  readonly onlyReads: boolean
  readonly context: FrameContext | undefined
  /** Called before each statement of one that only reads. @throws where it would read ahead */
  readonly reads: () => void
}

const SETS = /(?:^|;)\s*(?:set|reset)\b|\bset_config\b/i
/** Somewhere in the text: behind a comment, or another statement. */
const CHANGES_SCHEMA = /\b(?:create|alter|drop|do|call)\b/i

/** One database transaction in a sandbox: a savepoint, and what comes of it. */
export class Frame implements DatabaseConnection, OpenFrame {
  readonly role: string
  readonly unitName: string
  readonly context: FrameContext | undefined
  readonly onlyReads: boolean
  failure: unknown
  isKept = false
  hasWritten = false
  mayHaveSet = false
  hasChangedSchema = false
  readonly #pin: Pin
  readonly #stack: FrameStack
  readonly #reads: () => void
  isFresh = true
  #isOver = false
  /** Why it is over, where its test was rolled back under it. */
  #gone: Error | undefined
  /** Those of raw SQL; undefined before its first statement. */
  #writes: UncountedWrites | undefined
  #isRaw = false

  constructor(pin: Pin, { role, unitName, onlyReads, context, reads }: FrameOptions) {
    this.#pin = pin
    this.#stack = pin.stack
    pin.frames.add(this)
    this.role = role
    this.unitName = unitName
    this.onlyReads = onlyReads
    this.context = context
    this.#reads = reads
  }

  get backend(): number | undefined {
    return this.#stack.connection.backend
  }

  get takesSeveral(): boolean {
    return this.#stack.connection.takesSeveral
  }

  kindOf(sql: string): StatementKind {
    return this.#stack.connection.kindOf(sql)
  }

  watch(sql: string, isRaw: boolean): void {
    this.#stack.connection.watch(sql, isRaw)
    this.#isRaw = isRaw
    if (isRaw && SETS.test(sql)) this.mayHaveSet = true
  }

  async begin(): Promise<void> {
    await this.#exclusive(() => this.#stack.enter(this))
  }

  /** @throws SandboxReplayError, SandboxLostError, or the driver's error */
  async execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    this.#note(sql)
    const statements = this.takesSeveral ? severalStatements(sql) : [sql]
    return await this.#exclusive(async () => {
      if (statements.length <= 1) return await this.#one(sql, parameters)
      for (const each of statements) await this.#one(each, [])
      return { rows: [] }
    })
  }

  /** @throws where it would read ahead */
  #note(sql: string): void {
    if (this.onlyReads) this.#reads()
    this.#pin.turns.lastStatement = sql
  }

  async #one(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    const step = savepointStep(sql, this.#stack.connection.dialect)
    return await (step === undefined ? this.#send(sql, parameters) : this.#step(sql, step))
  }

  /** Sends its only statement, and ends it. @throws as `execute` */
  async readAlone(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    this.#note(sql)
    try {
      return await this.#exclusive(() => this.#stack.readAlone(this, sql, parameters))
    } finally {
      this.#end()
    }
  }

  async #send(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    if (this.#isRaw) this.#writes ??= await UncountedWrites.from(() => this.#stack.countWrites(this))
    const kind = this.kindOf(sql)
    if (kind === 'write') this.hasWritten = true
    if (kind === 'write' && CHANGES_SCHEMA.test(sql)) this.hasChangedSchema = true
    return await this.#stack.send(this, { kind, sql, parameters })
  }

  async #step(sql: string, { does, name }: SavepointStep): Promise<StatementResult> {
    if (does === 'savepoint') {
      await this.#writes?.noteSavepoint(name)
      await this.#stack.savepoint(this, name, false)
    } else if (does === 'release') await this.#stack.release(this, { sql, name })
    else {
      await this.#stack.goBack(this, { sql, name })
      await this.#writes?.noteWayBack(name)
    }
    return { rows: [], command: does.toUpperCase() }
  }

  async savepointToRead(name: string): Promise<void> {
    await this.#exclusive(() => this.#stack.savepoint(this, name.toLowerCase(), true))
  }

  /** The rows are read at once: other frames may roll back what a cursor lives in. */
  async *stream(
    sql: string,
    parameters: readonly unknown[],
    chunkSize: number,
    exclusive: Exclusive,
  ): AsyncIterable<unknown[]> {
    const { rows } = await exclusive(() => this.execute(sql, parameters))
    yield* chunksOf(rows, chunkSize)
  }

  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    return await this.#pin.exclusive(async () => {
      if (this.#gone !== undefined) throw this.#gone
      this.isFresh = false
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof SqlassistError) && this.#stack.connection.isFailed) this.failure ??= error
        throw error
      }
    }, this)
  }

  get isIntact(): boolean {
    return !this.#isOver && this.failure === undefined && this.#stack.connection.lost === undefined
  }

  async isAborted(): Promise<boolean> {
    return !this.isFresh && !this.isIntact
  }

  async wrote(): Promise<boolean> {
    const writes = this.#writes
    return writes === undefined ? false : await this.#exclusive(() => writes.hasWritten())
  }

  async commit(): Promise<CommitAnswer> {
    const answer = await this.#check()
    if (answer.outcome !== 'done') return answer
    await this.#keep()
    return { outcome: 'committed' }
  }

  async #keep(): Promise<void> {
    if (!this.isFresh) await this.#exclusive(() => this.#stack.keep(this))
    this.#end()
  }

  async prepare(): Promise<PrepareAnswer> {
    const answer = await this.#check()
    return answer.outcome === 'done' ? { outcome: 'prepared' } : answer
  }

  async finishPrepared(_gid: string, how: Finish): Promise<undefined> {
    if (how === 'rollback') await this.rollback()
    else await this.#keep()
  }

  /** What COMMIT would say. A transaction that it refuses is rolled back. */
  async #check() {
    if (this.isFresh && this.#gone === undefined) return { outcome: 'done' as const }
    if (this.failure !== undefined) {
      await this.rollback()
      return { outcome: 'rolled back' as const }
    }
    try {
      await this.#exclusive(() => this.#stack.check(this))
      return { outcome: 'done' as const }
    } catch (error) {
      await this.rollback()
      return { outcome: 'refused' as const, error }
    }
  }

  async rollback(doubt?: Doubt): Promise<void> {
    if (this.#isOver) return
    try {
      if (doubt !== undefined && this.isIntact && (await this.wrote())) doubt.isTrue()
      if (!this.isFresh && this.#gone === undefined) await this.#pin.exclusive(() => this.#stack.drop(this), this)
    } finally {
      this.#end()
    }
  }

  cancel(): void {
    this.#pin.cancel(this)
  }

  /** Ends one that is open by a rollback, as the end of its connection would. */
  release(): Promise<void> | undefined {
    if (this.#isOver) return undefined
    // The pin keeps what keeps it from being rolled back.
    return this.rollback().catch(() => undefined)
  }

  abandon(reason: Error): void {
    this.#gone = reason
    this.#end()
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#pin.frames.delete(this)
    this.#pin.turns.leave()
  }
}
