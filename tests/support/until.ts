import { setImmediate as turn } from 'node:timers/promises'

/** Far beyond anything a test waits for: a safety net, not a measure. */
const LIMIT_MS = 20_000

/** Lets the event loop turn until the condition holds; for what no event or latch announces. `what` says what never came. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string) = 'the condition',
): Promise<void> {
  const deadline = performance.now() + LIMIT_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${typeof what === 'string' ? what : what()}`)
    await turn()
  }
}
