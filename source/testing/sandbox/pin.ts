import type { SqlEntityManager } from '@mikro-orm/sql'
import { Cancelling } from '../../database/cancelling.ts'
import type { Database } from '../../database/database.ts'
import { StatementQueue } from '../../database/statement-queue.ts'
import type { Engine } from '../../role/engine.ts'
import type { OwnSettings } from './frame-context.ts'
import type { OpenFrame } from './framed.ts'
import { FrameStack } from './frame-stack.ts'
import { PinnedConnection } from './pinned-connection.ts'
import { PostgresSandbox } from './postgres-sandbox.ts'
import type { SandboxDialect, Sequences } from './sandbox-dialect.ts'
import type { ResolvedSandboxOptions } from './sandbox-options.ts'
import { SqliteSandbox } from './sqlite-sandbox.ts'
import { Turns } from './turns.ts'

/** The database that a pin is of: by the engine of a role that may write, where there is one. */
export interface PinnedDatabase {
  readonly engine: Engine
  /** What the sandbox stands in for. */
  readonly database: Database
}

/** One connection of one database, in one transaction for as long as a test is begun. It is opened by the first use. */
export class Pin {
  readonly turns: Turns
  readonly #of: PinnedDatabase
  readonly #dialect: SandboxDialect
  readonly #restoresSequences: boolean
  readonly #own: OwnSettings = { known: undefined, hasWarned: false }
  readonly #queue = new StatementQueue()
  #stack: FrameStack | undefined
  #opening: Promise<void> | undefined
  /** The levels of the sandbox that it has something of, with where the sequences were before. */
  readonly #levels: { readonly level: number; readonly sequences: Sequences | undefined }[] = []
  /** Those that are open. */
  readonly frames = new Set<OpenFrame>()
  #running: OpenFrame | undefined
  /** What the counts of the stacks before were. */
  #before = { frames: 0, replayed: 0 }

  constructor(of: PinnedDatabase, { waitMs, sequences }: ResolvedSandboxOptions) {
    this.#of = of
    this.turns = new Turns(waitMs)
    this.#dialect = of.database.dialect === 'postgresql' ? new PostgresSandbox() : new SqliteSandbox()
    this.#restoresSequences = sequences === 'restore'
  }

  get role(): string {
    return this.#of.engine.role
  }

  get isOpen(): boolean {
    return this.#stack !== undefined
  }

  /** The frames; to be asked for behind `open`. */
  get stack(): FrameStack {
    return this.#stack as FrameStack
  }

  get counts(): { readonly frames: number; readonly replayed: number } {
    const { frames = 0, replayed = 0 } = this.#stack ?? {}
    return { frames: this.#before.frames + frames, replayed: this.#before.replayed + replayed }
  }

  /** Begins its transaction, where that was not done, on that level. */
  async open(level: number): Promise<void> {
    if (this.#stack !== undefined) return
    await (this.#opening ??= this.#open(level).finally(() => (this.#opening = undefined)))
  }

  async #open(level: number): Promise<void> {
    const { engine, database } = this.#of
    const em = engine.options.orm.em.fork({ disableContextResolution: true }) as SqlEntityManager
    const connection = await database.begin({}, em, {}, { cancelling: new Cancelling() })
    const pinned = new PinnedConnection(connection, database.dialect)
    const stack = new FrameStack(pinned, this.#dialect, this.#own)
    try {
      await stack.begin()
      this.#levels.push({ level, sequences: await this.#sequences(pinned) })
    } catch (error) {
      await pinned.end()
      throw error
    }
    this.#stack = stack
  }

  /** What is opened is of the level before. An error is one of who opens it. */
  async #opened(): Promise<void> {
    await this.#opening?.catch(() => undefined)
  }

  async #sequences(connection: PinnedConnection): Promise<Sequences | undefined> {
    if (!this.#restoresSequences) return undefined
    return await this.#dialect.sequences?.now((sql, parameters) => connection.send(this.role, sql, parameters))
  }

  /** Does `work`, of `frame` where there is one, while nothing else is sent. */
  async exclusive<T>(work: () => Promise<T>, frame?: OpenFrame): Promise<T> {
    const turn = this.#queue.enter()
    if (turn !== undefined) await turn
    this.#running = frame
    try {
      return await work()
    } finally {
      this.#running = undefined
      this.#queue.leave()
    }
  }

  /** Has the database give up what it does for `frame`. */
  cancel(frame: OpenFrame): void {
    if (this.#running === frame) this.stack.connection.cancel()
  }

  /** Begins another level, where it has something of the one before. */
  async pushLevel(level: number): Promise<void> {
    await this.#opened()
    if (this.#stack === undefined) return
    await this.exclusive(async () => {
      this.#levels.push({ level, sequences: await this.#sequences(this.stack.connection) })
      this.stack.pushLevel()
    })
  }

  /** Undoes what it has of that level. Frames that are open end with `reason`. @throws SandboxLostError */
  async popLevel(level: number, reason: (open: readonly OpenFrame[]) => Error): Promise<void> {
    await this.#opened()
    const last = this.#levels.at(-1)
    if (this.#stack === undefined || last?.level !== level) return
    this.#levels.pop()
    const open = Array.from(this.frames)
    for (const frame of open) frame.abandon(reason(open))
    if (this.#running !== undefined) this.stack.connection.cancel()
    await this.exclusive(async () => {
      try {
        await this.stack.popLevel()
        if (last.sequences !== undefined) await this.#restore(last.sequences)
      } finally {
        if (this.#levels.length === 0 || this.stack.connection.lost !== undefined) await this.end()
      }
    })
  }

  async #restore(sequences: Sequences): Promise<void> {
    const { connection } = this.stack
    await this.#dialect.sequences?.restore((sql, parameters) => connection.send(this.role, sql, parameters), sequences)
  }

  /** Rolls everything back, and gives the connection back. */
  async end(): Promise<void> {
    const stack = this.#stack
    if (stack === undefined) return
    this.#before = this.counts
    this.#levels.length = 0
    this.#stack = undefined
    this.#dialect.forget()
    await stack.connection.end()
    if (stack.connection.lost !== undefined) throw stack.connection.lost
  }
}
