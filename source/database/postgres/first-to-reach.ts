import type { Cancelling } from '../cancelling.ts'
import type { WalPosition } from '../wal-position.ts'
import type { Replica } from './replica.ts'

/**
 * The first of them that is there within that time; undefined where none is, where all of them leave, or where it is
 * cancelled.
 */
export async function firstToReach(
  candidates: readonly Replica[],
  position: WalPosition,
  waitMs: number,
  cancelling: Cancelling,
): Promise<Replica | undefined> {
  if (cancelling.isOver) return undefined
  const { promise, resolve } = Promise.withResolvers<Replica | undefined>()
  const giveUp = (): void => resolve(undefined)
  let left = candidates.length
  const stops = candidates.map((replica) =>
    replica.whenReached(position, (hasArrived) => {
      if (hasArrived) resolve(replica)
      else if (--left === 0) giveUp()
    }),
  )
  const timer = setTimeout(giveUp, waitMs)
  const stopListening = cancelling.listen(giveUp)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    stopListening()
    for (const stop of stops) stop()
  }
}
