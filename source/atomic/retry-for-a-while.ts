import { setTimeout as pause } from 'node:timers/promises'

const FIRST_PAUSE_MS = 20
const FOR_MS = 5000

/** Repeats `work` for a few seconds until it succeeds: a server that restarts is back soon. @throws the last error */
export async function retryForAWhile<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + FOR_MS
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() + pauseMs > deadline) throw error
    }
    await pause(pauseMs)
  }
}
