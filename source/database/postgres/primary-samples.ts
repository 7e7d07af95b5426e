import { laterOf, type WalPosition } from '../wal-position.ts'

interface Sample {
  readonly at: number
  readonly position: WalPosition
}

/** What is sampled sooner after another is left out. */
const CLOSEST_MS = 100

/**
 * Where the primary was, and when. A replica is never asked how far behind it is in time: on a server where nothing happens the
 * time of its last transaction says nothing.
 */
export class PrimarySamples {
  readonly #maxLagMs: number
  /** In the order of time, and of position. */
  #samples: Sample[] = []
  #newest: WalPosition | undefined

  constructor(maxLagMs: number) {
    this.#maxLagMs = maxLagMs
  }

  /** The highest position that is known to exist; undefined before the first sample. */
  get newest(): WalPosition | undefined {
    return this.#newest
  }

  /**
   * Takes over what the primary has answered to a question of that time: `flushed` can have been sent to replicas, `inserted`
   * exists. A position below the one before is that of another history, as after a failover that has lost something.
   */
  add(at: number, flushed: WalPosition, inserted: WalPosition): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && flushed < last.position) this.clear()
    const before = this.#samples.at(-1)
    // The floor is higher for it, and the list does not grow with those who ask.
    if (before === undefined || at - before.at >= CLOSEST_MS) this.#samples.push({ at, position: flushed })
    this.noteExisting(inserted)
    const kept = this.#samples.findIndex((sample) => sample.at >= at - this.#maxLagMs)
    if (kept > 1) this.#samples.splice(0, kept - 1)
  }

  /** Takes over a position that exists: of a commit. */
  noteExisting(position: WalPosition): void {
    this.#newest = laterOf(this.#newest ?? position, position)
  }

  clear(): void {
    this.#samples = []
    this.#newest = undefined
  }

  /** Where the primary was `maxLagMs` ago, or somewhat later. Where it was not asked since: where it was last. */
  floor(now: number): WalPosition {
    return this.#since(now - this.#maxLagMs)
  }

  /** Where it was half of that time ago: a replica that comes back is to stay. */
  returning(now: number): WalPosition {
    return this.#since(now - this.#maxLagMs / 2)
  }

  #since(time: number): WalPosition {
    const sample = this.#samples.find(({ at }) => at >= time) ?? this.#samples.at(-1)
    return sample?.position ?? 0n
  }

  /** When the primary was last known to be at `position` or before it: how long ago is the lag of a replica that is there. */
  timeOf(position: WalPosition): number | undefined {
    return this.#samples.findLast((sample) => sample.position <= position)?.at
  }
}
