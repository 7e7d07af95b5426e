import type { Engine } from '../../role/engine.ts'
import { ConfigurationError } from '../../role/errors.ts'
import { assertKnownOptions } from '../../role/known-options.ts'
import { refuseOutside } from '../../role/refuse-outside.ts'
import type { ConnectionUser } from '../../database/connection-waits.ts'
import { lastStarted, runningUser, UnitScope } from '../../role/unit-scope.ts'
import type { EngineRegistry } from '../../registry/engine-registry.ts'
import { HOOK_KINDS, HookCaptures, runHooks, type CapturedHook, type CaptureOptions } from './captured-hooks.ts'
import { SandboxEscapeError, SandboxLeakError, SandboxNotBegunError } from './errors.ts'
import type { OpenFrame } from './framed.ts'
import type { Pin } from './pin.ts'
import { Pins } from './pins.ts'
import { ReadAhead } from './read-ahead.ts'
import { SandboxDatabase } from './sandbox-database.ts'
import { rootOf } from './turns.ts'
import { oneOf, type ResolvedSandboxOptions } from './sandbox-options.ts'

/** What a sandbox has done since its last `begin()`. */
export interface SandboxReport {
  /** How many database transactions, and reads outside of one, there were. */
  readonly frames: number
  /** How many statements were sent again, since a transaction beneath them was rolled back. */
  readonly replayed: number
  /** How often a request or run waited for another one. */
  readonly waits: number
  /** How often a read-only role read what the same request had not committed. */
  readonly readAhead: number
}

/**
 * The databases of a registry under test: what is committed in a test is there until its end, and then gone. Made by
 * `createSandbox()`.
 */
export class Sandbox implements AsyncDisposable {
  readonly #registry: EngineRegistry<any, any>
  readonly #options: ResolvedSandboxOptions
  readonly #pins: Pins
  readonly #readAhead: ReadAhead
  readonly #hooks: HookCaptures
  readonly #undo: (() => void)[]
  readonly #closed: () => void
  /** What the report was as each level began. */
  readonly #levels: SandboxReport[] = []
  /** The number of the request or run that was started last before the last `rollback()`. */
  #lastOfTests = 0
  /** The work on all pins that is under way. */
  #changing: Promise<void> = Promise.resolve()
  #isClosed = false

  /** @internal */
  constructor(registry: EngineRegistry<any, any>, options: ResolvedSandboxOptions, closed: () => void) {
    const engines = registry.names.map((role) => registry.engine(role))
    this.#registry = registry
    this.#options = options
    this.#closed = closed
    this.#pins = new Pins(engines, options)
    this.#readAhead = new ReadAhead(options.readAhead)
    this.#undo = engines.flatMap((engine) => this.#standIn(engine))
    this.#hooks = new HookCaptures(registry)
    this.#undo.push(() => this.#hooks.close())
  }

  #standIn(engine: Engine): (() => void)[] {
    const { role, dialect, rules, options } = engine
    const around = {
      role,
      pin: (user: ConnectionUser | undefined) => this.#open(engine, user),
      reads: this.#readAhead.check,
      running: runningUser,
      assertRenewable: () => this.#assertRenewable(),
      end: () => this.#endPins(),
    }
    // Undone from the last one to the first: what was asked in the sandbox is asked again of the database.
    const undo = [() => engine.lookAgain(), engine.standIn((database) => new SandboxDatabase(database, around))]
    // What MikroORM sends for a role that commits at once comes by the database.
    const isHeld = rules.commits === 'at once'
    const isRefused = this.#options.escapes === 'refuse' || dialect === 'sqlite'
    if (!isHeld && isRefused) undo.push(refuseOutside(options.orm, () => new SandboxEscapeError(role)))
    return undo
  }

  async #open(engine: Engine, user: ConnectionUser | undefined): Promise<Pin> {
    for (;;) {
      const changing = this.#changing
      await changing
      if (this.#levels.length === 0) throw new SandboxNotBegunError(engine.role)
      this.#assertNotLeaked(user)
      const pin = await this.#pins.of(engine)
      // Meanwhile a level may have begun, or been rolled back.
      if (changing === this.#changing) await pin.open(this.#levels.length)
      if (changing === this.#changing) return pin
    }
  }

  /** What was open as a test was rolled back is of that test, also where it had sent nothing there. A session is of each test. */
  #assertNotLeaked(user: ConnectionUser | undefined): void {
    const root = rootOf(user)
    if (root instanceof UnitScope && root.number <= this.#lastOfTests)
      throw new SandboxLeakError([root.name], this.#options.waitMs)
  }

  #assertRenewable(): void {
    if (!this.#pins.all.some(({ isOpen }) => isOpen)) return
    throw new ConfigurationError(
      'registry.reinit() and registry.dispose() would close the connection that holds the rows of the test. Call them while no ' +
        'test is begun, or use freshDatabase() for this test.',
    )
  }

  async #endPins(): Promise<void> {
    for (const pin of this.#pins.all) await pin.end()
  }

  /**
   * Begins a level: what is done from here on, `rollback()` undoes. Levels nest, such as one for the fixtures of a file and one for
   * each test. Waits before for requests, runs and work in the background, at most `waitMs`. Sends nothing to a database that is
   * not used.
   * @throws ConfigurationError where the sandbox is closed, and where a transaction is open, which no level can be set upon
   */
  async begin(): Promise<void> {
    if (this.#isClosed)
      throw new ConfigurationError('The sandbox is closed. Make another one by createSandbox(registry).')
    await this.#quiet()
    await this.#change(async () => {
      this.#assertNoneOpen()
      this.#levels.push(this.#counts())
      for (const pin of this.#pins.all) await pin.pushLevel(this.#levels.length)
    })
  }

  #assertNoneOpen(): void {
    const [open] = this.#pins.all.flatMap(({ frames }) => [...frames])
    if (open === undefined) return
    throw new ConfigurationError(
      `sandbox.begin() was called while ${open.unitName} has a transaction open. End that before, as by "await em.commit()" or ` +
        `"await em.rollback()".`,
    )
  }

  /**
   * Undoes everything since the last `begin()`. Waits before for requests, runs and work in the background, at most `waitMs`; what
   * is open then is cancelled and rolled back.
   * @throws SandboxLeakError where something was open; SandboxLostError where a connection was lost; ConfigurationError where no
   *   test is begun
   */
  async rollback(): Promise<void> {
    if (this.#levels.length === 0)
      throw new ConfigurationError('sandbox.rollback() was called and no test is begun. Call sandbox.begin() first.')
    const isQuiet = await this.#quiet()
    const open = new Set<string>()
    const errors: unknown[] = []
    const reason = (frames: readonly OpenFrame[]): Error => {
      for (const { unitName } of frames) open.add(unitName)
      return new SandboxLeakError([...open], this.#options.waitMs)
    }
    await this.#change(async () => {
      const level = this.#levels.length
      this.#levels.pop()
      this.#lastOfTests = lastStarted()
      for (const pin of this.#pins.all) await pin.popLevel(level, reason).catch((error: unknown) => errors.push(error))
    })
    if (!isQuiet && open.size === 0) open.add('a request or run')
    if (open.size > 0) throw new SandboxLeakError([...open], this.#options.waitMs)
    if (errors.length > 0) throw errors[0]
  }

  async #change(work: () => Promise<void>): Promise<void> {
    const changing = this.#changing.then(work)
    this.#changing = changing.catch(() => undefined)
    await changing
  }

  /** Whether nothing is under way any more. */
  async #quiet(): Promise<boolean> {
    const late = Promise.withResolvers<false>()
    const timer = setTimeout(() => late.resolve(false), this.#options.waitMs)
    try {
      return await Promise.race([this.#registry.whenQuiet().then(() => true), late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Does `work`, and returns the hooks of the transactions that were committed meanwhile, in place of running them; also those of
   * requests that `work` sends. Of calls inside of one another the innermost has them. Hooks of a commit that failed run as ever.
   * With `run: true` they run behind `work`, with those that the transactions of these hooks add.
   * @throws what `work` throws, and the first error of a hook that it runs
   */
  async captureHooks(work: () => unknown, options: CaptureOptions = {}): Promise<readonly CapturedHook[]> {
    assertKnownOptions('captureHooks', options, ['run', 'kinds'])
    const { run = false, kinds = ['afterCommit'] } = options
    const known = kinds.map((kind) => oneOf('kinds', kind, HOOK_KINDS))
    return await this.#hooks.during(known, async (hooks) => {
      await work()
      if (run) await runHooks(hooks)
    })
  }

  /**
   * Runs captured hooks in their order, as their transaction would have: an afterCommit hook with `true` before its own arguments.
   * @throws the first error, which production reports
   */
  async runHooks(hooks: readonly CapturedHook[]): Promise<void> {
    await runHooks(hooks)
  }

  /** What was done since the last `begin()`. */
  report(): SandboxReport {
    const now = this.#counts()
    const then = this.#levels.at(-1) ?? now
    return {
      frames: now.frames - then.frames,
      replayed: now.replayed - then.replayed,
      waits: now.waits - then.waits,
      readAhead: now.readAhead - then.readAhead,
    }
  }

  #counts(): SandboxReport {
    const pins = this.#pins.all
    const sum = (count: (pin: Pin) => number): number => pins.reduce((total, pin) => total + count(pin), 0)
    return {
      frames: sum(({ counts }) => counts.frames),
      replayed: sum(({ counts }) => counts.replayed),
      waits: sum(({ turns }) => turns.waits),
      readAhead: this.#readAhead.count,
    }
  }

  /** Rolls back what is begun, and gives the databases back to the registry. A second call does nothing. @throws as `rollback` */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const errors: unknown[] = []
    while (this.#levels.length > 0) await this.rollback().catch((error: unknown) => errors.push(error))
    for (const step of this.#undo.toReversed()) step()
    this.#closed()
    if (errors.length > 0) throw errors[0]
  }

  /** The same as `close()`: `await using sandbox = await createSandbox(registry)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
