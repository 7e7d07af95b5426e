import type { StatementResult } from '../../database/database.ts'
import type { SandboxReplayError } from './errors.ts'
import { FrameConnection } from './frame-connection.ts'
import type { FrameStatement, NamedSavepoint } from './frame-statement.ts'
import type { OwnSettings } from './frame-context.ts'
import type { Framed } from './framed.ts'
import { Journal, mayWrite, type Entry, type SavepointEntry } from './journal.ts'
import { Marks, type Mark } from './marks.ts'
import type { PinnedConnection } from './pinned-connection.ts'
import { refusalOf } from './refusal-of.ts'
import type { SandboxDialect } from './sandbox-dialect.ts'
import { sendAgain } from './send-again.ts'

/**
 * The database transactions of a test, as savepoints on one connection: frames, in the order of their beginning. What is done
 * above a savepoint is lost with it, whichever frame did it. So, as long as there are several, each step is written down. After a
 * rollback beneath them the others' steps are done again, in their order and before the next statement: by then it is known which
 * of these frames are rolled back as well. Each method has the connection to itself.
 */
export class FrameStack {
  readonly #connection: FrameConnection
  readonly #marks = new Marks()
  readonly #journal = new Journal()
  /** Since there was none open the last time. */
  readonly #frames = new Set<Framed>()
  /** Those that began while others had still to put something right. */
  readonly #unchecked = new WeakSet<Framed>()
  /** The one that has sent the last statement that may write, where no savepoint was set since. */
  #writer: Framed | undefined
  #broken: SandboxReplayError | undefined
  /** How many frames there were. */
  frames = 0
  /** How many steps were done again. */
  replayed = 0

  constructor(pinned: PinnedConnection, dialect: SandboxDialect, own: OwnSettings) {
    this.#connection = new FrameConnection(pinned, dialect, own)
  }

  get connection(): PinnedConnection {
    return this.#connection.pinned
  }

  /** To be called before everything else. */
  async begin(): Promise<void> {
    await this.#connection.begin()
  }

  // Statements

  /** @throws SandboxReplayError, SandboxLostError, or the driver's error */
  async send(frame: Framed, { kind, sql, parameters }: FrameStatement): Promise<StatementResult> {
    await this.enter(frame)
    if (frame.onlyReads || this.#marks.readsOnly(frame))
      return await this.#connection.sendToRead(frame, sql, parameters)
    const writes = mayWrite(kind, sql)
    const isNoted = this.#frames.size > 1 && writes
    const sequences = isNoted && this.#writer !== frame ? await this.#connection.sequences(frame) : undefined
    const result = await this.#connection.send(frame, sql, parameters)
    if (writes) this.#writer = frame
    if (isNoted) this.#journal.note({ frame, sql, parameters, result, sequences })
    return result
  }

  /** Sends the only statement of a frame that reads, which leaves nothing behind. @throws as `send` */
  async readAlone(frame: Framed, sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    await this.#clear(frame)
    this.frames++
    await this.#connection.useContextOf(frame)
    return await this.#connection.sendAlone(frame, sql, parameters)
  }

  /** How many rows the frame has written since that was asked for the first time. @throws as `send` */
  async countWrites(frame: Framed): Promise<number> {
    await this.enter(frame)
    return await this.#connection.countWrites(frame)
  }

  /** Sets the beginning of the frame, where that was not done, behind what is to be done again. @throws as `send` */
  async enter(frame: Framed): Promise<void> {
    if ((await this.#clear(frame)) === 'failed') return
    await this.#begin(frame)
  }

  /** Leaves the failure of another frame, and does again what is to be done again. */
  async #clear(frame: Framed): Promise<'failed' | undefined> {
    if (this.#broken !== undefined) throw this.#broken
    const { failed } = this.#connection
    // The database has the answer to that.
    if (failed === frame) return 'failed'
    const { top } = this.#marks
    // From here on the other one is refused everything but its own way back.
    if (failed !== undefined && top !== undefined) await this.#undo(top, failed)
    if (this.#journal.hasLost) await this.#doAgain(this.#journal.takeLost(), frame)
    if (frame.failure !== undefined) throw refusalOf(frame.failure)
    return undefined
  }

  async #begin(frame: Framed): Promise<void> {
    if (this.#marks.startOf(frame) === undefined) {
      // What others would fail at is not to fail this one, whose check would meet it as well.
      const isNew = !this.#frames.has(frame) && this.#writingBeside(frame).length > 0
      if (isNew && !(await this.#connection.wouldPass(frame))) this.#unchecked.add(frame)
      await this.#set(frame)
    }
    await this.#connection.useContextOf(frame)
  }

  #writingBeside(frame: Framed): Framed[] {
    return Array.from(this.#frames).filter((other) => other !== frame && !other.isKept && other.hasWritten)
  }

  async #set(frame: Framed, name?: string, onlyReads = false): Promise<void> {
    const mark = this.#marks.new(frame, name, onlyReads, this.#journal.length)
    if (name === undefined) this.#connection.setAhead(mark.savepoint)
    else await this.#connection.send(frame, `savepoint ${mark.savepoint}`)
    this.#marks.push(mark)
    // What is done from here on may be done again without what was done before.
    this.#writer = undefined
    if (name !== undefined || this.#frames.has(frame)) return
    this.frames++
    this.#frames.add(frame)
  }

  // Savepoints

  async savepoint(frame: Framed, name: string, onlyReads: boolean): Promise<void> {
    await this.enter(frame)
    await this.#savepoint(frame, name, onlyReads)
  }

  async #savepoint(frame: Framed, name: string, onlyReads: boolean): Promise<void> {
    await this.#set(frame, name, onlyReads)
    this.#note(frame, { does: 'savepoint', name, onlyReads })
  }

  async release(frame: Framed, savepoint: NamedSavepoint): Promise<void> {
    await this.enter(frame)
    await this.#release(frame, savepoint)
  }

  async #release(frame: Framed, { sql, name }: NamedSavepoint): Promise<void> {
    const mark = this.#marks.find(frame, name)
    // The database has the error for one that is not there, and behind an error.
    if (mark === undefined || this.#connection.failed === frame) return void (await this.#connection.send(frame, sql))
    if (this.#marks.isOnTop(mark)) await this.#connection.send(frame, `release savepoint ${mark.savepoint}`)
    this.#marks.drop(mark)
    this.#note(frame, { does: 'release', name, onlyReads: false })
  }

  async goBack(frame: Framed, { sql, name }: NamedSavepoint): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken
    if (!this.#journal.goBack(frame, name)) {
      const mark = this.#marks.find(frame, name)
      if (mark === undefined) return void (await this.#connection.send(frame, sql))
      this.#journal.forgetLost(frame)
      await this.#undo(mark, frame)
      mark.onlyReads = false
    }
    this.#journal.letWrite(frame, name)
    frame.failure = undefined
  }

  #note(frame: Framed, savepoint: SavepointEntry): void {
    if (this.#frames.size > 1) this.#journal.note({ frame, savepoint, sql: '', parameters: [] })
  }

  // Ends

  /** Checks what COMMIT would check. @throws as `send` */
  async check(frame: Framed): Promise<void> {
    await this.enter(frame)
    if (!this.#unchecked.has(frame)) {
      const others = this.#writingBeside(frame)
      if (others.length > 0 && !(await this.#connection.wouldPass(frame))) await this.#setAside(others, frame)
      await this.#connection.check(frame)
    }
    await this.#connection.clean(frame)
  }

  /** Undoes what others have done, who have still to put something right. It comes again behind the check. */
  async #setAside(others: readonly Framed[], frame: Framed): Promise<void> {
    const mark = this.#marks.lowestOverlap(frame, others)
    if (mark === undefined) return
    await this.#undo(mark, frame, true)
    await this.#doAgain(this.#journal.takeLostBeside(others), frame)
    await this.#begin(frame)
  }

  /** Keeps what the frame has done, which was checked. */
  async keep(frame: Framed): Promise<void> {
    await this.enter(frame)
    this.#end(frame)
  }

  #hasOnlyRead(frame: Framed): boolean {
    const isIntact = frame.failure === undefined && this.#connection.failed === undefined
    return frame.onlyReads && !frame.mayHaveSet && isIntact
  }

  /** What the frame has done is no longer its own. */
  #end(frame: Framed): void {
    frame.isKept = true
    const start = this.#marks.startOf(frame)
    if (start !== undefined && this.#marks.areKeptAbove(start)) this.#releaseAll(start)
    this.#tidy()
  }

  /** Undoes what the frame has done. One that has only read has done nothing, and takes nothing of others with it. */
  async drop(frame: Framed): Promise<void> {
    if (this.#hasOnlyRead(frame)) return this.#end(frame)
    this.#journal.forgetLost(frame)
    this.#connection.noteSchema(frame)
    const start = this.#marks.startOf(frame)
    if (start !== undefined) await this.#undo(start, frame)
    this.#frames.delete(frame)
    this.#tidy()
  }

  /** Forgets what nobody can miss any more. */
  #tidy(): void {
    if (this.#hasOpen && this.#frames.size > 1) return
    this.#journal.forgetDone()
    if (this.#hasOpen) return this.#marks.forgetPlaces()
    this.#frames.clear()
    this.#writer = undefined
    this.#connection.forgetWrites()
    const { lowest } = this.#marks
    if (lowest !== undefined) this.#releaseAll(lowest)
  }

  get #hasOpen(): boolean {
    return Array.from(this.#frames).some(({ isKept }) => !isKept)
  }

  /** Releases a savepoint, and all above it, together with the next statement. */
  #releaseAll(mark: Mark): void {
    this.#connection.releaseAhead(mark.savepoint)
    this.#marks.cut(mark)
  }

  /** Goes back to `mark` for `frame`. What other frames have done since is lost, and comes again; so does its own, where `isAside`. */
  async #undo(mark: Mark, frame: Framed, isAside = false): Promise<void> {
    const isStart = isAside || (mark.frame === frame && mark.name === undefined)
    await this.#connection.goBack(frame, mark.savepoint, isStart)
    this.#writer = undefined
    this.#journal.undo(mark, isAside ? undefined : frame)
    this.#marks.cutAbove(mark)
    if (isStart) this.#marks.cut(mark)
  }

  async #doAgain(entries: readonly Entry[], asked: Framed): Promise<void> {
    const isCounted = entries.some((entry) => entry.sequences !== undefined)
    const sequences = isCounted ? await this.#connection.sequences(asked) : undefined
    for (const entry of entries) await this.#stepAgain(entry)
    // What was left to the end of those that are kept is done again as well, such as what a deferred trigger writes.
    if (entries.some(({ frame }) => frame.isKept)) await this.#connection.checkIfPassing(asked)
    // What was taken from them by what is undone stays taken.
    if (sequences !== undefined) await this.#connection.restoreSequences(asked, sequences)
  }

  async #stepAgain(entry: Entry): Promise<void> {
    const { frame, savepoint } = entry
    this.replayed++
    if (!frame.isKept) await this.#begin(frame)
    if (savepoint === undefined) await this.#statementAgain(entry)
    else if (frame.isKept) return
    else if (savepoint.does === 'savepoint') await this.#savepoint(frame, savepoint.name, savepoint.onlyReads)
    else await this.#release(frame, { sql: '', name: savepoint.name })
  }

  async #statementAgain(entry: Entry): Promise<void> {
    try {
      await sendAgain(this.#connection, entry)
    } catch (error) {
      throw (this.#broken = error as SandboxReplayError)
    }
    if (this.#hasOpen) this.#journal.note(entry)
  }

  /** Sets the beginning of a level, on which everything of that level stands. */
  pushLevel(): void {
    const mark = this.#marks.new(undefined, undefined, false, 0)
    this.#connection.setAhead(mark.savepoint)
    this.#marks.push(mark)
  }

  /** Undoes everything of the last level, also what is open. */
  async popLevel(): Promise<void> {
    // The lowest level has no savepoint, but what is sent behind a failure needs one to have gone back to.
    const mark = this.#marks.lastLevel ?? (this.#connection.pinned.isFailed ? this.#marks.bottom : undefined)
    if (mark === undefined) return
    this.#frames.clear()
    this.#journal.clear()
    this.#writer = undefined
    this.#broken = undefined
    await this.#connection.goBackToLevel(mark.savepoint)
    this.#marks.cut(mark)
  }
}
