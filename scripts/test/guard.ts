/** Ends what would hang, and gives an error that nobody caught to the test during which it came up. */
import process from 'node:process'
import { setImmediate as turn } from 'node:timers/promises'

/** A safety net, far beyond what any test takes. */
const LIMIT_MS = Number(process.env['KOA_SQLASSIST_TEST_LIMIT_MS'] ?? 60_000)

let interrupt: ((reason: Error) => void) | undefined
const stray: Error[] = []

export function installGuard(): void {
  process.on('unhandledRejection', (reason) => keepStray('unhandled rejection', reason))
  process.on('uncaughtException', (error) => keepStray('uncaught exception', error))
  process.on('beforeExit', () => {
    // an immediate, since what follows the interruption needs an event loop that turns
    setImmediate(() => interrupt?.(new Error('hangs: it waits for something that nothing is left to bring about')))
  })
}

/** Resolves or rejects as `work` does; rejects when it hangs, or when an error went uncaught meanwhile. */
export async function guarded(work: () => unknown): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`hangs: not done after ${LIMIT_MS} ms`)), LIMIT_MS).unref()
  interrupt = reject
  try {
    await Promise.race([(async () => await work())(), promise])
    await turn() // a rejection is known to be unhandled only when the microtasks are done
  } catch (error) {
    throw asError(error)
  } finally {
    clearTimeout(timer)
    interrupt = undefined
  }
  const [first] = takeStray()
  if (first) throw first
}

/** Errors that went uncaught since they were last asked for. */
export function takeStray(): Error[] {
  return stray.splice(0)
}

function keepStray(kind: string, reason: unknown): void {
  const error = new Error(`${kind}: ${asError(reason).message}`, { cause: reason })
  error.stack = `${kind}: ${asError(reason).stack ?? ''}`
  stray.push(error)
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(`thrown: ${String(reason)}`, { cause: reason })
}
