import { AsyncLocalStorage } from 'node:async_hooks'
import { parseGlobalId } from './global-id.ts'
import { recoverOnce, type LeftInDoubt, type RecoveryContext, type RecoveryPass } from './recovery.ts'

/** When recovery runs automatically. */
export interface RecoverOptions {
  /** Milliseconds from the end of one run to the next. Default 60000. */
  readonly everyMs?: number | undefined
  /** Milliseconds: recovery leaves younger prepared transactions alone, since their commit may be under way. Default 10000. */
  readonly graceMs?: number | undefined
}

export const DEFAULT_EVERY_MS = 60_000
export const DEFAULT_GRACE_MS = 10_000

const LEAST_HURRY_MS = 100

/** Runs recovery, one run at a time: on request, and by a timer from `start` on. @internal */
export class RecoverySchedule {
  readonly #context: RecoveryContext
  readonly #everyMs: number | undefined
  /** Runs the timer outside of every request: `soon` is called within one. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | undefined
  /** The run under way or the last one; it never rejects. */
  #last: Promise<unknown> = Promise.resolve()
  #stopped = false
  /** How soon to look again after a branch was left, which may show late. Doubles with each run, up to `everyMs`. */
  #hurryMs = Infinity
  /** Ids already warned of and still left. */
  #warned: ReadonlySet<string> = new Set()

  /** Without `everyMs` no timer runs. */
  constructor(context: RecoveryContext, everyMs: number | undefined) {
    this.#context = context
    this.#everyMs = everyMs
  }

  /** Runs recovery after the run under way, if there is one. */
  async run(graceMs = this.#context.graceMs, context = this.#context): Promise<RecoveryPass> {
    const run = this.#last.then(() => recoverOnce({ ...context, graceMs }))
    this.#last = run.catch(() => undefined)
    return await run
  }

  /** Makes the first run, and schedules those that follow. */
  async start(): Promise<void> {
    if (this.#everyMs === undefined || this.#stopped) return
    await this.#runByItself(this.#context)
  }

  /** Runs soon after a branch was left: once it is old enough, then at growing distances up to `everyMs`. */
  soon(): void {
    if (this.#everyMs === undefined) return
    const { graceMs } = this.#context
    this.#hurryMs = Math.max(graceMs, LEAST_HURRY_MS)
    this.#schedule(graceMs)
  }

  /** Begins no further run, and waits for the one under way. */
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

  /** Leaves out ORMs that were closed: a timer must not open them again. */
  #connected(): RecoveryContext {
    return { ...this.#context, engines: this.#context.engines.filter((engine) => engine.connected) }
  }

  /** Warns once for each id of this application. */
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
