import { ConnectionLostError } from '../errors.ts'
import type { ReplicaState } from '../replicas.ts'
import type { PrimaryWatch } from './primary-watch.ts'
import type { Probed, Replica } from './replica.ts'
import type { ReplicaAnswer } from './replica-check.ts'
import { isSameCluster, isSameServer } from './server-identity.ts'

/** Between two probes of a server. */
const EVERY_MS = 1000
/** How long it is watched after the last use. */
const UNUSED_MS = 60_000
/** The longest pause between two probes of one that is down. */
const LONGEST_PAUSE_MS = 30_000
/** How many probes in a row have to succeed before one that was down is used again. */
const GOOD_PROBES = 2
/** A statement without an answer for so long has the server probed: one that is frozen answers nothing. */
const SUSPECT_AFTER_MS = 50

/** What is known of a replica that is down. */
interface Absence {
  pauseMs: number
  goodProbes: number
}

/** Watches the primary and its replicas, as long as somebody reads from them. */
export class ReplicaWatch {
  readonly #replicas: readonly Replica[]
  readonly #primary: PrimaryWatch
  readonly #changed: (replica: Replica) => void
  readonly #absences = new Map<Replica, Absence>()
  readonly #timers = new Map<object, NodeJS.Timeout>()
  readonly #suspected = new Set<Replica>()
  #beginning: Promise<void> | undefined
  #isWatching = false
  /** How often it was stopped: what was begun before is over. */
  #stopped = 0
  #lastUse = 0

  /** `changed` is called with each replica whose state is another one. */
  constructor(replicas: readonly Replica[], primary: PrimaryWatch, changed: (replica: Replica) => void) {
    this.#replicas = replicas
    this.#primary = primary
    this.#changed = changed
  }

  /** Watches from here on, until it was not used for a while. A promise where the primary has to be asked first. */
  use(): Promise<void> | undefined {
    this.#lastUse = performance.now()
    if (this.#isWatching) return undefined
    return (this.#beginning ??= this.#begin())
  }

  async #begin(): Promise<void> {
    const stopped = this.#stopped
    // What was asked before it was stopped has no answer.
    await this.#primary.askAnew()
    if (stopped !== this.#stopped) return
    this.#beginning = undefined
    this.#isWatching = true
    this.#sample()
    for (const replica of this.#replicas) this.#watch(replica, 0)
  }

  #sample(): void {
    this.#in(this.#primary, EVERY_MS, async () => {
      await this.#primary.ask()
      this.#sample()
    })
  }

  #watch(replica: Replica, afterMs: number): void {
    this.#in(replica, afterMs, async () => {
      await this.#probe(replica)
      this.#watch(replica, this.#pauseOf(replica))
    })
  }

  async #probe(replica: Replica): Promise<void> {
    const stopped = this.#stopped
    try {
      await replica.probe()
    } catch (error) {
      // What was stopped meanwhile says nothing of the server.
      if (stopped === this.#stopped) this.markDown(replica, error)
    }
  }

  #pauseOf(replica: Replica): number {
    const absence = this.#absences.get(replica)
    if (absence === undefined) return EVERY_MS
    const pause = absence.pauseMs
    absence.pauseMs = Math.min(pause * 2, LONGEST_PAUSE_MS)
    // Several processes are not to ask at the same time.
    return pause * (1 - Math.random() / 4)
  }

  #in(what: object, milliseconds: number, work: () => Promise<void>): void {
    if (!this.#isWatching) return
    const timer = setTimeout(() => {
      if (performance.now() - this.#lastUse > UNUSED_MS) this.stop()
      else void work()
    }, milliseconds)
    // What was stopped and begun anew may have left another one.
    clearTimeout(this.#timers.get(what))
    this.#timers.set(what, timer.unref())
  }

  /** Judges a replica by the answer to a probe. */
  readonly judge = (replica: Replica, answer: Probed): void => {
    const { isInRecovery, identity } = answer
    const primary = this.#primary.identity
    replica.isPrimary = !isInRecovery && primary !== undefined && isSameServer(identity, primary)
    if (!isInRecovery && !replica.isPrimary) return this.#leave(replica, 'foreign', 'it is not in recovery')
    if (primary !== undefined && !isSameCluster(identity, primary)) {
      return this.#leave(replica, 'foreign', 'it has another system identifier than the primary')
    }
    const absence = this.#absences.get(replica)
    if (absence !== undefined && ++absence.goodProbes < GOOD_PROBES) return
    this.#absences.delete(replica)
    this.#place(replica, answer)
  }

  /** Judges one in use by where it was when it was asked. The primary itself is never behind. */
  #place(replica: Replica, { position, isInRecovery, askedAt }: ReplicaAnswer): void {
    const { samples } = this.#primary
    const needed = replica.state === 'lagging' ? samples.returning(askedAt) : samples.floor(askedAt)
    if (!isInRecovery || position >= needed) this.#move(replica, 'up', '')
    else this.#move(replica, 'lagging', 'it is behind where the primary was maxLagMs ago')
  }

  /** Notes what a replica has answered to the check in front of a statement. Whether that statement counts. */
  noteChecked(replica: Replica, answer: ReplicaAnswer): boolean {
    const isLatest = replica.note(answer)
    const counts = answer.isInRecovery || replica.isPrimary
    if (isLatest && !counts) this.#leave(replica, 'foreign', 'it is not in recovery')
    else if (isLatest && replica.isUsable) this.#place(replica, answer)
    return counts
  }

  /** A connection to it has ended: whether that is all, a probe finds out. */
  doubt(replica: Replica): void {
    if (this.#isWatching) void this.#probe(replica)
  }

  /** Has a replica probed at once if it has not answered for a while. */
  suspect(replica: Replica): void {
    if (this.#suspected.has(replica)) return
    this.#suspected.add(replica)
    const since = performance.now()
    const timer = setTimeout(() => {
      this.#suspected.delete(replica)
      if (replica.inFlight === 0 || !replica.isUsable || !this.#isWatching) return
      if (replica.heardAt < since) void this.#probe(replica)
      this.suspect(replica)
    }, SUSPECT_AFTER_MS)
    timer.unref()
  }

  /** A replica has failed in a way that is its own. */
  markDown(replica: Replica, error: unknown): void {
    const cause = error instanceof ConnectionLostError ? error.cause : error
    this.#leave(replica, 'down', cause instanceof Error ? cause.message : String(cause))
  }

  #leave(replica: Replica, state: 'down' | 'foreign', reason: string): void {
    const absence = this.#absences.get(replica)
    if (absence === undefined) this.#absences.set(replica, { pauseMs: EVERY_MS, goodProbes: 0 })
    else absence.goodProbes = 0
    this.#move(replica, state, reason)
    // Something may have been sent to it in between.
    replica.leave(new Error(`the replica ${replica.name} is ${state}: ${reason}`))
  }

  #move(replica: Replica, state: ReplicaState, reason: string): void {
    if (replica.state === state) return
    replica.state = state
    replica.reason = reason
    this.#changed(replica)
  }

  /** Asks no more, and closes what it asks by. A use begins it anew. */
  stop(): void {
    this.#stopped++
    this.#beginning = undefined
    this.#isWatching = false
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    this.#primary.close()
    for (const replica of this.#replicas) replica.close()
  }
}
