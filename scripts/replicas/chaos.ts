/** What happens to the standbys meanwhile. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Random } from '../crash/random.ts'
import type { Standby } from '../../tests/support/standby.ts'

export type Harm = 'paused' | 'killed' | 'frozen' | 'promoted'

const HARMS: readonly Harm[] = ['paused', 'paused', 'killed', 'frozen', 'promoted']

export interface Chaos {
  /** Counts what was done. */
  readonly done: Record<Harm, number>
  /** Ends it; every standby is there again. */
  stop(): Promise<void>
}

/**
 * Harms one standby at a time, at random, again and again. One that was promoted is put back as a new copy at the same port.
 */
export function startChaos(standbys: Standby[], remake: (port: number) => Promise<Standby>, random: Random): Chaos {
  const done: Record<Harm, number> = { paused: 0, killed: 0, frozen: 0, promoted: 0 }
  const over = new AbortController()
  const running = (async () => {
    while (!over.signal.aborted) {
      const index = random.below(standbys.length)
      const standby = standbys[index] as Standby
      const harm = random.pick(HARMS)
      done[harm]++
      standbys[index] = await doHarm(standby, harm, remake, random)
      await pause(200 + random.next() * 1500)
    }
  })()
  return {
    done,
    async stop() {
      over.abort()
      await running
    },
  }
}

async function doHarm(
  standby: Standby,
  harm: Harm,
  remake: (port: number) => Promise<Standby>,
  random: Random,
): Promise<Standby> {
  switch (harm) {
    case 'paused':
      await standby.pause()
      await pause(random.next() * 4000)
      await standby.resume()
      return standby
    case 'killed':
      await standby.kill()
      await pause(random.next() * 1000)
      await standby.start()
      return standby
    case 'frozen':
      standby.freeze()
      await pause(random.next() * 3000)
      standby.thaw()
      return standby
    case 'promoted': {
      await standby.promote()
      // It goes on with another history.
      await standby.query('update counters set value = -1000000')
      await pause(random.next() * 2000)
      await standby.stop()
      return await remake(standby.port)
    }
  }
}
