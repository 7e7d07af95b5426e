import type { RecoverySchedule } from '../atomic/recovery-schedule.ts'
import type { Engine } from '../role/engine.ts'
import { report } from '../transaction/warnings.ts'
import { registryCloseChannel } from '../unit/unit-channels.ts'
import { RegistryClosedError, RegistryCloseTimeoutError } from './errors.ts'
import type { OpenSessions } from './open-sessions.ts'
import type { UnderWayCount } from './under-way-count.ts'

/** How long is waited for the pools whose connections were closed at once. */
const LAST_MS = 1000

const closed = (): Error => new RegistryClosedError()

interface Closing {
  readonly registry: object
  /** How long may be waited in all. */
  readonly limitMs: number
  readonly engines: readonly Engine[]
  readonly units: UnderWayCount
  readonly recovery: RecoverySchedule
  readonly background: UnderWayCount
  readonly sessions: OpenSessions
  /** The steps that detach the ORMs, which is done when nothing is under way. */
  readonly detach: (() => void)[]
}

/**
 * Closes all engines, also where one of them fails or something is open for too long.
 * @throws the first error: of a pool, or RegistryCloseTimeoutError
 */
export async function closeAll(closing: Closing): Promise<void> {
  const { limitMs, engines, units, sessions } = closing
  const deadline = new Deadline(limitMs)
  const errors: unknown[] = []
  const whatIsOpen = (): string[] => [...unitsIn(units), ...sessions.names(), ...usedRoles(engines)]
  const close = (engine: Engine): Promise<void> =>
    engine.close(closed).catch((error: unknown) => {
      errors.push(error)
    })
  const isQuiet = await deadline.allows(quiet(closing))
  const inUse = isQuiet ? undefined : whatIsOpen()
  if (isQuiet) detach(closing)
  const pools = Promise.all(engines.map(close))
  if (!isQuiet || !(await deadline.allows(pools))) {
    errors.push(new RegistryCloseTimeoutError(limitMs, inUse ?? whatIsOpen()))
    sessions.giveUp()
    const last = new Deadline(LAST_MS)
    await last.allows(Promise.all([pools, ...engines.map((engine) => engine.breakOff(closed))]))
    last.stop()
    if (!isQuiet) detach(closing)
  }
  deadline.stop()
  if (registryCloseChannel.hasSubscribers) registryCloseChannel.publish({ registry: closing.registry })
  const [first, ...others] = errors
  for (const later of others) report(later, `while the registry was closed, after: ${String(first)}`)
  if (errors.length > 0) throw first
}

/** Waits until no work is under way. */
async function quiet({ units, recovery, background }: Closing): Promise<void> {
  await units.whenEmpty()
  await recovery.stop()
  await background.whenEmpty()
}

function detach({ detach: steps }: Closing): void {
  for (const step of steps.splice(0)) step()
}

function unitsIn({ count }: UnderWayCount): string[] {
  return count === 0 ? [] : [`${count} ${count === 1 ? 'unit' : 'units'} of work`]
}

function usedRoles(engines: readonly Engine[]): string[] {
  return engines.filter(({ database }) => database.isInUse).map(({ role }) => `connections of role "${role}"`)
}

class Deadline {
  readonly #over = Promise.withResolvers<false>()
  readonly #timer: NodeJS.Timeout

  constructor(afterMs: number) {
    this.#timer = setTimeout(() => this.#over.resolve(false), afterMs)
  }

  /** Whether `work`, which does not reject, comes to its end in time. */
  allows(work: Promise<unknown>): Promise<boolean> {
    return Promise.race([work.then(() => true), this.#over.promise])
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
