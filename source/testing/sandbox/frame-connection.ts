import type { StatementResult } from '../../database/database.ts'
import { SharedContext, type OwnSettings } from './frame-context.ts'
import type { Framed } from './framed.ts'
import type { PinnedConnection } from './pinned-connection.ts'
import type { SandboxDialect, Send, Sequences } from './sandbox-dialect.ts'
import { SharedSettings } from './shared-settings.ts'
import { WritesOfFrames } from './writes-of-frames.ts'

const READS_ONLY = 'sqlassist_reads_only'
const WOULD_PASS = 'sqlassist_would_pass'
const READING = [`savepoint ${READS_ONLY}`, 'set transaction read only']

/** The connection of a sandbox, as its frames share it: each sends as if it were alone. */
export class FrameConnection {
  readonly pinned: PinnedConnection
  readonly #dialect: SandboxDialect
  readonly #context: SharedContext
  readonly #writes = new WritesOfFrames()
  readonly #settings: SharedSettings
  /** Statements that go along with the next one. */
  #ahead: string[] = []
  #failed: { readonly frame: Framed; readonly error: unknown } | undefined

  constructor(pinned: PinnedConnection, dialect: SandboxDialect, own: OwnSettings) {
    this.pinned = pinned
    this.#dialect = dialect
    this.#context = new SharedContext(own)
    this.#settings = new SharedSettings(own)
  }

  /** The one whose statement has failed: the database refuses everything but a way back. */
  get failed(): Framed | undefined {
    return this.#failed?.frame
  }

  /** @throws SandboxLostError, or the driver's error */
  async send(frame: Framed, sql: string, parameters: readonly unknown[] = []): Promise<StatementResult> {
    const before = this.#takeAhead()
    if (before.length === 0) return await this.#noting(frame, () => this.pinned.send(frame.role, sql, parameters))
    if (sql.includes(';')) {
      await this.#noting(frame, () => this.pinned.sendAll(frame.role, before))
      return await this.send(frame, sql, parameters)
    }
    return await this.#noting(frame, () => this.pinned.send(frame.role, sql, parameters, { before, behind: [] }))
  }

  /** Sets a savepoint, together with the next statement. */
  setAhead(savepoint: string): void {
    this.#ahead.push(`savepoint ${savepoint}`)
  }

  #takeAhead(): string[] {
    const ahead = this.#ahead
    if (ahead.length > 0) this.#ahead = []
    return ahead
  }

  /** Sends several statements that answer nothing. @throws as `send` */
  async sendAll(frame: Framed, statements: readonly string[]): Promise<void> {
    const all = [...this.#takeAhead(), ...statements]
    await this.#noting(frame, () => this.pinned.sendAll(frame.role, all))
  }

  async #noting<T>(frame: Framed, send: () => Promise<T>): Promise<T> {
    try {
      return await send()
    } catch (error) {
      if (this.pinned.isFailed) this.#failed = { frame, error }
      throw error
    }
  }

  /** Keeps the statement from writing. The mode ends with its savepoint, and would else hold for every frame above. */
  async sendToRead(frame: Framed, sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    if (!this.#dialect.enforcesReadOnly) return await this.send(frame, sql, parameters)
    const before = [...this.#takeAhead(), ...READING]
    const around = { before, behind: [`release savepoint ${READS_ONLY}`] }
    return await this.#noting(frame, () => this.pinned.send(frame.role, sql, parameters, around))
  }

  /** The same for a statement that is the only one of its frame: nothing of it stays, nor of an error. */
  async sendAlone(frame: Framed, sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    const start = this.#dialect.enforcesReadOnly ? READING : READING.slice(0, 1)
    const behind = [`rollback to savepoint ${READS_ONLY}`, `release savepoint ${READS_ONLY}`]
    const around = { before: [...this.#takeAhead(), ...start], behind }
    try {
      return await this.pinned.send(frame.role, sql, parameters, around)
    } catch (error) {
      if (this.pinned.lost === undefined) await this.pinned.sendAll(frame.role, behind)
      throw error
    }
  }

  #sender(frame: Framed): Send {
    return (sql, parameters) => this.send(frame, sql, parameters)
  }

  /** Sets what the transaction of a test needs. */
  async begin(): Promise<void> {
    if (!this.#dialect.hasSettings) return
    const ahead = await this.#context.begin((sql) => this.pinned.send('', sql))
    if (ahead !== undefined) this.#ahead.push(ahead)
  }

  /** Has what is sent from here on be of that frame: its variables and its role are set, where those of another are. */
  async useContextOf(frame: Framed): Promise<void> {
    await this.#writes.goOn(frame, () => this.#countAll(frame))
    if (this.#dialect.hasSettings) this.#settings.note(frame)
    await this.#context.use(frame.context, this.#sender(frame))
  }

  /** Goes back to a savepoint. A failure is over by that; its frame keeps it. */
  async goBack(frame: Framed, savepoint: string, releases: boolean): Promise<void> {
    const back = [`rollback to savepoint ${savepoint}`, `release savepoint ${savepoint}`]
    await this.sendAll(frame, releases ? back : back.slice(0, 1))
    if (this.#failed !== undefined) this.#failed.frame.failure = this.#failed.error
    this.#failed = undefined
    this.#context.doubt()
  }

  /** Checks what COMMIT would check. @throws the driver's error */
  async check(frame: Framed): Promise<void> {
    this.noteSchema(frame)
    await this.#dialect.check(this.#sender(frame))
  }

  /** Takes away what COMMIT would. @throws the driver's error */
  async clean(frame: Framed): Promise<void> {
    if (frame.mayHaveSet && this.#dialect.hasSettings) await this.#context.reset(this.#sender(frame))
  }

  /** Whether COMMIT would pass all that was done so far. Leaves nothing behind. @throws SandboxLostError */
  async wouldPass(frame: Framed): Promise<boolean> {
    if (!(await this.#dialect.checksLate(this.#sender(frame)))) return true
    const sequences = await this.sequences(frame)
    const passes = await this.#tryCheck(frame, false)
    if (sequences !== undefined) await this.restoreSequences(frame, sequences)
    return passes
  }

  /** Does what COMMIT would do of all that was done so far, where nothing is against it. @throws SandboxLostError */
  async checkIfPassing(frame: Framed): Promise<void> {
    if (await this.#dialect.checksLate(this.#sender(frame))) await this.#tryCheck(frame, true)
  }

  async #tryCheck(frame: Framed, keeps: boolean): Promise<boolean> {
    await this.send(frame, `savepoint ${WOULD_PASS}`)
    const passes = await this.check(frame).then(
      () => true,
      () => false,
    )
    if (!passes || !keeps) await this.pinned.send(frame.role, `rollback to savepoint ${WOULD_PASS}`)
    this.#failed = undefined
    await this.send(frame, `release savepoint ${WOULD_PASS}`)
    return passes
  }

  /** What a frame has made of the schema is looked at anew: before its checks, and when it is undone. */
  noteSchema({ hasChangedSchema }: Framed): void {
    if (hasChangedSchema) this.#dialect.forget()
  }

  /** Sends what is to go along with the next statement now. */
  async sendAhead(): Promise<void> {
    const ahead = this.#takeAhead()
    if (ahead.length > 0) await this.pinned.sendAll('', ahead)
  }

  /** How many rows the frame has written since that was asked for the first time. */
  async countWrites(frame: Framed): Promise<number> {
    return await this.#writes.of(frame, () => this.#countAll(frame))
  }

  async #countAll(frame: Framed): Promise<number> {
    return (await this.#dialect.countWrites?.(this.#sender(frame))) ?? 0
  }

  /** None is open any more. */
  forgetWrites(): void {
    this.#settings.clear()
    this.#writes.clear()
  }

  async sequences(frame: Framed): Promise<Sequences | undefined> {
    return await this.#dialect.sequences?.now(this.#sender(frame))
  }

  async restoreSequences(frame: Framed, then: Sequences): Promise<void> {
    await this.#dialect.sequences?.restore(this.#sender(frame), then)
  }

  /** Everything since a savepoint is undone, with the frames of it. */
  async goBackToLevel(savepoint: string): Promise<void> {
    this.#failed = undefined
    this.#ahead = []
    this.#context.doubt()
    this.#dialect.forget()
    this.forgetWrites()
    await this.pinned.sendAll('', [`rollback to savepoint ${savepoint}`, `release savepoint ${savepoint}`])
  }
}
