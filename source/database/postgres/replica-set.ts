import type { SqlEntityManager } from '@mikro-orm/sql'
import type { ReadingUnit } from '../database.ts'
import { NoReplicaError } from '../errors.ts'
import { dropPosition, replicaFallbackChannel, type ReplicaFallbackMessage } from '../replica-channels.ts'
import type {
  FallbackReason,
  OwnPositions,
  PositionOrigin,
  ReplicaReport,
  ReplicaRules,
  ServedBy,
} from '../replicas.ts'
import { formatPosition, laterOf, UNKNOWN_POSITION, type WalPosition } from '../wal-position.ts'
import type { Cancelling } from '../cancelling.ts'
import { firstToReach } from './first-to-reach.ts'
import type { PrimaryWatch } from './primary-watch.ts'
import type { Replica } from './replica.ts'
import type { ReplicaAnswer } from './replica-check.ts'
import type { ReplicaWatch } from './replica-watch.ts'

/** Where the statements of one session are answered, and what they have shown. */
interface Place {
  /** The replica that it reads from; undefined before its first statement. */
  replica: Replica | undefined
  /** The highest position that one of its statements has shown. */
  seen: WalPosition
  /** What it was given, as far as that exists; undefined before that was looked at. */
  given: WalPosition | undefined
  /** Those that it streams from, each as often. */
  readonly streaming: Replica[]
  /** How far the primary was when it has answered is not known, so that no replica can follow it. */
  isAtPrimary: boolean
}

/** A position that a statement has to show. */
interface Required {
  readonly position: WalPosition
  readonly origin: PositionOrigin
}

/** The session of a statement. */
export interface Reading {
  readonly em: SqlEntityManager
  readonly unit: ReadingUnit
}

/** What was tried for a statement. */
export interface Attempt {
  /** The replicas that have not answered it. */
  readonly tried: ReadonlySet<Replica>
  /** That of the last of them. */
  readonly trouble: FallbackReason | undefined
  readonly cancelling: Cancelling
}

/** Where a statement is to be sent. */
export interface Choice {
  /** Undefined: the primary. */
  readonly replica: Replica | undefined
  readonly servedBy: ServedBy
}

/** Where a replica was chosen. */
export interface ReplicaChoice extends Choice {
  readonly replica: Replica
}

interface SetParts {
  readonly role: string
  readonly rules: ReplicaRules
  readonly replicas: readonly Replica[]
  readonly primary: PrimaryWatch
  readonly watch: ReplicaWatch
  /** Called before anything is sent to a replica, until it returns true: they could be compared. @throws ConfigurationError */
  readonly assertSameDatabase: () => Promise<boolean>
}

/** The replicas of a role: chooses one for each statement, by what the statement has to show. */
export class ReplicaSet {
  readonly watch: ReplicaWatch
  /** How many statements went to the primary, by why. */
  readonly fallbacks: Partial<Record<FallbackReason, number>> = {}
  readonly #role: string
  readonly #rules: ReplicaRules
  readonly #replicas: readonly Replica[]
  readonly #primary: PrimaryWatch
  readonly #assertSameDatabase: () => Promise<boolean>
  readonly #places = new WeakMap<SqlEntityManager, Place>()
  #isAsserted = false
  #asserting: Promise<void> | undefined
  /** Counts up, so that replicas that are alike take turns. */
  #turn = 0

  constructor({ role, rules, replicas, primary, watch, assertSameDatabase }: SetParts) {
    this.#role = role
    this.#rules = rules
    this.#replicas = replicas
    this.#primary = primary
    this.watch = watch
    this.#assertSameDatabase = assertSameDatabase
  }

  /**
   * Chooses for a statement.
   * @throws NoReplicaError where there is none, and it is not to go to the primary; ConfigurationError
   */
  async choose(reading: Reading, attempt: Attempt): Promise<Choice> {
    const place = this.#placeOf(reading.em)
    const hasReplicas = this.#replicas.length > 0
    const watching = hasReplicas ? this.watch.use() : undefined
    if (watching !== undefined) await watching
    // Where the primary cannot be asked, its replicas go on.
    const mayBeAsked = !hasReplicas || this.#primary.identity !== undefined
    if (!this.#isAsserted && mayBeAsked) await (this.#asserting ??= this.#assert())
    if (!hasReplicas || place.isAtPrimary) return primaryFor(place, undefined, 0, undefined)
    const { positions } = reading.unit
    place.given ??= await this.#given(positions)
    if (place.replica !== undefined && !isFree(place.replica, place, attempt.tried)) await this.#leavePlace(place)
    const required = this.#required(place, positions)
    const known = this.#known(place, required.position, attempt.tried)
    if (known === undefined) return await this.#wait(reading, required, attempt)
    place.replica ??= known
    return onReplica(known, required, 0)
  }

  /**
   * What was shown may be newer than the server's answer in front of it, as where a statement has waited for a lock. Another one
   * has to be where the primary is by now.
   */
  async #leavePlace(place: Place): Promise<void> {
    const { samples } = this.#primary
    if (place.seen > 0n && (await this.#primary.askAnew())) place.seen = laterOf(place.seen, samples.newest ?? 0n)
    place.replica = undefined
  }

  async #assert(): Promise<void> {
    try {
      this.#isAsserted = await this.#assertSameDatabase()
    } finally {
      this.#asserting = undefined
    }
  }

  async #given(own: OwnPositions | undefined): Promise<WalPosition> {
    const given = (await own?.given(this.#rules.of)) ?? 0n
    if (given === 0n || given === UNKNOWN_POSITION) return given
    const existing = await this.#primary.checked(given)
    if (existing !== given) dropPosition('future')
    return existing
  }

  #required(place: Place, positions: OwnPositions | undefined): Required {
    const own = laterOf(positions?.committed(this.#rules.of) ?? 0n, place.given ?? 0n)
    const floor = this.#primary.samples.floor(performance.now())
    if (own >= floor && own >= place.seen && own > 0n) return { position: own, origin: 'own' }
    return place.seen > floor ? { position: place.seen, origin: 'seen' } : { position: floor, origin: 'floor' }
  }

  /** One that is known to be there: the session's own, else the one with the least to do. */
  #known(place: Place, position: WalPosition, tried: ReadonlySet<Replica>): Replica | undefined {
    const fits = (replica: Replica): boolean => isFree(replica, place, tried) && replica.hasReached(position)
    if (place.replica !== undefined && fits(place.replica)) return place.replica
    const turn = this.#turn++
    let best: Replica | undefined
    for (let index = 0; index < this.#replicas.length; index++) {
      const replica = this.#replicas[(turn + index) % this.#replicas.length] as Replica
      if (fits(replica) && (best === undefined || replica.inFlight < best.inFlight)) best = replica
    }
    return best
  }

  async #wait(reading: Reading, required: Required, { tried, trouble, cancelling }: Attempt): Promise<Choice> {
    const place = this.#placeOf(reading.em)
    const candidates = this.#replicas.filter((replica) => isFree(replica, place, tried))
    const since = performance.now()
    const mayArrive = required.position !== UNKNOWN_POSITION && candidates.length > 0 && this.#rules.waitMs > 0
    const { waitMs, otherwise } = this.#rules
    const arrived = mayArrive ? await firstToReach(candidates, required.position, waitMs, cancelling) : undefined
    const waitedMs = performance.now() - since
    if (arrived !== undefined) return onReplica(arrived, required, waitedMs)
    // Nobody waits for its answer any more.
    if (cancelling.isOver) return { replica: undefined, servedBy: { server: 'primary', waitedMs, required } }
    const isBehind = candidates.some((replica) => isFree(replica, place, tried))
    const reason = isBehind ? 'behind' : (trouble ?? this.#trouble())
    if (otherwise === 'error' || this.#primary.isInRecovery)
      throw new NoReplicaError(this.#role, reason, required.position)
    this.fallbacks[reason] = (this.fallbacks[reason] ?? 0) + 1
    if (replicaFallbackChannel.hasSubscribers) {
      const { dbSession } = reading.unit
      replicaFallbackChannel.publish({ role: this.#role, reason, waitedMs, dbSession } satisfies ReplicaFallbackMessage)
    }
    return primaryFor(place, required, waitedMs, reason)
  }

  #trouble(): FallbackReason {
    return this.#replicas.every(({ state }) => state === 'foreign') ? 'foreign' : 'down'
  }

  /** Notes what a replica has answered to the check in front of a statement: whether the statement shows what it has to. */
  accepts(reading: Reading, { replica, servedBy }: ReplicaChoice, answer: ReplicaAnswer): boolean {
    if (!this.watch.noteChecked(replica, answer)) return false
    // Another connection may lead to another server, so that only this answer counts.
    if (answer.isInRecovery && answer.position < (servedBy.required?.position ?? 0n)) return false
    const place = this.#placeOf(reading.em)
    place.replica = replica
    if (answer.isInRecovery) place.seen = laterOf(place.seen, answer.position)
    return true
  }

  /**
   * Notes that the session streams from a replica, until what is returned is called: where its pool has no other client, a
   * statement there would wait for the stream, which waits for the statement.
   */
  streams(em: SqlEntityManager, replica: Replica): () => void {
    const { streaming } = this.#placeOf(em)
    streaming.push(replica)
    return () => void streaming.splice(streaming.indexOf(replica), 1)
  }

  /** Takes over where a commit is. */
  noteCommit(position: WalPosition): void {
    if (position !== UNKNOWN_POSITION) this.#primary.samples.noteExisting(position)
  }

  #placeOf(em: SqlEntityManager): Place {
    let place = this.#places.get(em)
    if (place === undefined) {
      place = { replica: undefined, seen: 0n, given: undefined, streaming: [], isAtPrimary: false }
      this.#places.set(em, place)
    }
    return place
  }

  report(): ReplicaReport[] {
    return this.#replicas.map((replica) => this.reportOf(replica))
  }

  reportOf({ name, state, reason, position, isPrimary, inFlight, served, moved }: Replica): ReplicaReport {
    const at = isPrimary ? performance.now() : this.#primary.samples.timeOf(position)
    return {
      replica: name,
      state,
      reason,
      position: position === 0n ? undefined : formatPosition(position),
      lagMs: at === undefined ? undefined : Math.max(0, performance.now() - at),
      inFlight,
      served,
      moved,
    }
  }
}

/** Whether a statement may be sent to it; not where it would wait for a stream of its own session. */
function isFree(replica: Replica, { streaming }: Place, tried: ReadonlySet<Replica>): boolean {
  return replica.isUsable && !tried.has(replica) && !(streaming.includes(replica) && replica.clients.isExhausted)
}

function onReplica(replica: Replica, required: Required, waitedMs: number): Choice {
  return { replica, servedBy: { server: replica.name, waitedMs, required } }
}

function primaryFor(
  place: Place,
  required: Required | undefined,
  waitedMs: number,
  fallback: FallbackReason | undefined,
): Choice {
  place.isAtPrimary = true
  return { replica: undefined, servedBy: { server: 'primary', waitedMs, required, fallback } }
}
