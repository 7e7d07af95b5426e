import type { Renewal } from '../database/database.ts'
import type { Engine } from '../role/engine.ts'
import { runningUser } from '../role/unit-scope.ts'
import { report } from '../transaction/warnings.ts'
import type { OpenSessions } from './open-sessions.ts'

interface Surroundings {
  readonly sessions: OpenSessions
  /** Owns a promise that nobody waits for. */
  readonly watch: (work: Promise<void>) => void
}

type UntilClosed = Renewal['untilClosed']

/**
 * Replaces the pools of `engines`. Does not wait for the old ones where the caller may hold a connection of one: inside of a
 * unit of work, or while a session of the registry is in use.
 * @throws the first error, when all are done
 */
export async function renewPools(
  engines: readonly Engine[],
  renew: (engine: Engine, untilClosed: UntilClosed) => Promise<void>,
  { sessions, watch }: Surroundings,
): Promise<void> {
  const mayHold = runningUser() !== undefined || sessions.names().length > 0
  const untilClosed: UntilClosed = async (closing) => {
    if (mayHold) watch(closing.catch((error: unknown) => report(error, 'while an old pool was closed')))
    else await closing
  }
  const renewing = toTheEnd(engines.map((engine) => renew(engine, untilClosed)))
  watch(renewing.catch(() => undefined))
  await renewing
}

async function toTheEnd(works: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(works)
  await Promise.all(works)
}
