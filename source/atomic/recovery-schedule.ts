import { AsyncLocalStorage } from 'node:async_hooks'
import { parseGlobalId } from './global-id.ts'
import { recoverOnce, type LeftInDoubt, type RecoveryContext, type RecoveryPass } from './recovery.ts'

/** When recovery runs by itself. */
export interface RecoverOptions {
  /** Milliseconds from the end of one run to the next. Default 60000. */
  readonly everyMs?: number | undefined
  /** How old, in milliseconds, a prepared transaction has to be before it is looked at. Default 10000. */
  readonly graceMs?: number | undefined
}

export const DEFAULT_EVERY_MS = 60_000
export const DEFAULT_GRACE_MS = 10_000

const LEAST_HURRY_MS = 100

/** Runs recovery, one run at a time: when told to, and by itself from `start` on. */
export class RecoverySchedule {
  readonly #context: RecoveryContext
  readonly #everyMs: number | undefined
  /** Of nobody's request, whoever it is that makes it run. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | undefined
  /** The run under way or the last one; it never rejects. */
  #last: Promise<unknown> = Promise.resolve()
  #stopped = false
  /** How soon to look again after something was left: it may show late. Doubles with each run, up to `everyMs`. */
  #hurryMs = Infinity
  /** The ids that were warned of and are still left. */
  #warned: ReadonlySet<string> = new Set()

  /** Without `everyMs` it never runs by itself. */
  constructor(context: RecoveryContext, everyMs: number | undefined) {
    this.#context = context
    this.#everyMs = everyMs
  }

  /** Runs it after the run under way, if there is one. */
  async run(graceMs = this.#context.graceMs, context = this.#context): Promise<RecoveryPass> {
    const run = this.#last.then(() => recoverOnce({ ...context, graceMs }))
    this.#last = run.catch(() => undefined)
    return await run
  }

  /** The first run, and all that follow. */
  async start(): Promise<void> {
    if (this.#everyMs === undefined || this.#stopped) return
    await this.#runByItself(this.#context)
  }

  /** Something was left just now: runs as soon as it is old enough, and again until it would run anyway. */
  soon(): void {
    if (this.#everyMs === undefined) return
    const { graceMs } = this.#context
    this.#hurryMs = Math.max(graceMs, LEAST_HURRY_MS)
    this.#schedule(graceMs)
  }

  /** No run begins from here on; waits for the one under way. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#last
  }

  async #runByItself(context: RecoveryContext): Promise<void> {
    const everyMs = this.#everyMs ?? DEFAULT_EVERY_MS
    const { graceMs } = this.#context
    try {
      const { young, left } = await this.run(graceMs, context)
      this.#warnOf(left)
      this.#schedule(Math.min(young ? graceMs : everyMs, this.#hurryMs, everyMs))
    } catch {
      this.#schedule(Math.min(this.#hurryMs, everyMs))
    }
    this.#hurryMs *= 2
  }

  #schedule(afterMs: number): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    this.#outside(() => {
      this.#timer = setTimeout(() => void this.#runByItself(this.#connected()), Math.max(afterMs, 1))
      this.#timer.unref()
    })
  }

  /** An ORM that was closed is not to be opened again by a timer. */
  #connected(): RecoveryContext {
    return { ...this.#context, engines: this.#context.engines.filter((engine) => engine.connected) }
  }

  /** Once for each; those of another application are that one's business. */
  #warnOf(left: readonly LeftInDoubt[]): void {
    const own = left.filter(
      ({ id }) => id !== undefined && parseGlobalId(id)?.application === this.#context.application,
    )
    for (const { id = '', role, reason } of own) {
      if (this.#warned.has(id)) continue
      process.emitWarning(
        `The transaction "${id}", prepared in role "${role}", is in doubt and holds its locks: ${reason}. ` +
          `Recovery goes on trying; registry.recover() does at once.`,
        { code: 'SQLASSIST_IN_DOUBT' },
      )
    }
    this.#warned = new Set(own.map(({ id = '' }) => id))
  }
}
