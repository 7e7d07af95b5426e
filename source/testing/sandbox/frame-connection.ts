import type { StatementResult } from '../../database/database.ts'
import { SharedContext, type OwnSettings } from './frame-context.ts'
import type { Framed } from './framed.ts'
import type { PinnedConnection } from './pinned-connection.ts'
import type { Ahead, Asker, SandboxDialect, Send, Sequences } from './sandbox-dialect.ts'
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
  #ahead: Ahead[] = []
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
    if (sql.includes(';')) await this.sendAll(frame, [])
    const send =
      this.#ahead.length === 0
        ? () => this.pinned.send(frame.role, sql, parameters)
        : () => this.#among(frame, sql, parameters, [], [])
    return await this.#noting(frame, send)
  }

  async #among(
    { role }: Framed,
    sql: string,
    parameters: readonly unknown[],
    start: readonly string[],
    behind: readonly string[],
  ): Promise<StatementResult> {
    const ahead = this.#takeAhead()
    const around = { before: [...ahead.map((each) => each.sql), ...start], behind }
    const { before, own } = await this.pinned.sendAmong(role, sql, parameters, around)
    for (const [index, { rows }] of before.entries()) ahead[index]?.answered?.(rows)
    return own
  }

  /** Sets a savepoint, together with the next statement. */
  setAhead(savepoint: string): void {
    this.#ahead.push({ sql: `savepoint ${savepoint}` })
  }

  /** Releases a savepoint, together with the next statement. */
  releaseAhead(savepoint: string): void {
    this.#ahead.push({ sql: `release savepoint ${savepoint}` })
  }

  #takeAhead(): Ahead[] {
    return this.#ahead.splice(0)
  }

  /** Sends several statements that answer nothing. @throws as `send` */
  async sendAll(frame: Framed, statements: readonly string[]): Promise<void> {
    await this.#noting(frame, () => this.#sendAll(frame.role, statements))
  }

  /** @throws SandboxLostError, also where the database does not know the savepoint: nothing else would undo what is to be undone */
  async #wayBack(role: string, statements: readonly string[]): Promise<void> {
    await this.#sendAll(role, statements).catch((error: unknown) => {
      throw this.pinned.lose(role, error)
    })
  }

  /** What asks something is asked later. */
  async #sendAll(role: string, statements: readonly string[]): Promise<void> {
    const ahead = this.#takeAhead().filter(({ answered }) => answered === undefined)
    const all = [...ahead.map(({ sql }) => sql), ...statements]
    if (all.length > 0) await this.pinned.sendAll(role, all)
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
    const behind = [`release savepoint ${READS_ONLY}`]
    return await this.#noting(frame, () => this.#among(frame, sql, parameters, READING, behind))
  }

  /** The same for a statement that is the only one of its frame: nothing of it stays, nor of an error. */
  async sendAlone(frame: Framed, sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    const start = this.#dialect.enforcesReadOnly ? READING : READING.slice(0, 1)
    const behind = [`rollback to savepoint ${READS_ONLY}`, `release savepoint ${READS_ONLY}`]
    try {
      return await this.#among(frame, sql, parameters, start, behind)
    } catch (error) {
      if (this.pinned.lost === undefined) await this.pinned.sendAll(frame.role, behind)
      throw error
    }
  }

  #sender(frame: Framed): Send {
    return (sql, parameters) => this.send(frame, sql, parameters)
  }

  #asker(frame: Framed): Asker {
    return {
      role: frame.context?.role,
      send: this.#sender(frame),
      sendAll: (statements) => this.sendAll(frame, statements),
    }
  }

  /** Sets what the transaction of a test needs. */
  async begin(): Promise<void> {
    if (!this.#dialect.hasSettings) return
    const sql = await this.#context.begin((question) => this.pinned.send('', question))
    if (sql !== undefined) this.#ahead.push({ sql })
    this.#askAhead()
  }

  #askAhead(): void {
    const { ahead } = this.#dialect
    if (ahead !== undefined && !this.#ahead.includes(ahead)) this.#ahead.push(ahead)
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
    await this.#wayBack(frame.role, releases ? back : back.slice(0, 1))
    if (this.#failed !== undefined) this.#failed.frame.failure = this.#failed.error
    this.#failed = undefined
    this.#context.doubt()
  }

  /** Checks what COMMIT would check. @throws the driver's error */
  async check(frame: Framed): Promise<void> {
    this.noteSchema(frame)
    await this.#dialect.check(this.#asker(frame))
  }

  /** Takes away what COMMIT would. @throws the driver's error */
  async clean(frame: Framed): Promise<void> {
    if (frame.mayHaveSet && this.#dialect.hasSettings) await this.#context.reset(this.#sender(frame))
  }

  /** Whether COMMIT would pass all that was done so far. Leaves nothing behind. @throws SandboxLostError */
  async wouldPass(frame: Framed): Promise<boolean> {
    if (!(await this.#dialect.checksLate(this.#asker(frame)))) return true
    const sequences = await this.sequences(frame)
    const passes = await this.#tryCheck(frame, false)
    if (sequences !== undefined) await this.restoreSequences(frame, sequences)
    return passes
  }

  /** Does what COMMIT would do of all that was done so far, where nothing is against it. @throws SandboxLostError */
  async checkIfPassing(frame: Framed): Promise<void> {
    if (await this.#dialect.checksLate(this.#asker(frame))) await this.#tryCheck(frame, true)
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

  /** What a frame has made of the schema, or of its user, is looked at anew: before its checks, and when it is undone. */
  noteSchema({ hasChangedSchema, mayHaveSet }: Framed): void {
    if (hasChangedSchema || mayHaveSet) this.#dialect.forget()
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
    this.#context.doubt()
    this.#dialect.forget()
    this.forgetWrites()
    const unsent = this.#ahead.findIndex(({ sql }) => sql === `savepoint ${savepoint}`)
    this.#ahead.length = Math.max(unsent, 0)
    if (unsent < 0) await this.#wayBack('', [`rollback to savepoint ${savepoint}`, `release savepoint ${savepoint}`])
    this.#askAhead()
  }
}
