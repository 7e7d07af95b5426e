import { parsePosition, type WalPosition } from '../wal-position.ts'
import type { ReplicaState } from '../replicas.ts'
import type { ClientPool } from './client-pool.ts'
import { troubleOf, type ReplicaAnswer } from './replica-check.ts'
import { identityColumns, PROBE_LIMIT_MS, type ServerIdentity } from './server-identity.ts'
import { ServerLine, type Answered } from './server-line.ts'

/** What a probe has answered. */
export interface Probed extends ReplicaAnswer {
  readonly identity: ServerIdentity
}

interface ProbeRow extends ServerIdentity {
  readonly position: string | null
  readonly recovering: boolean
}

/** Those who wait until it is somewhere, or leaves. */
interface Waiting {
  readonly position: WalPosition
  readonly over: (hasArrived: boolean) => void
}

/** Between two questions of those who wait until a replica has got somewhere. */
const POLL_MS = [2, 4, 8, 10]

/** One replica: where it is, as far as this process knows, and the ways to it. */
export class Replica {
  /** Host and port. */
  readonly name: string
  readonly clients: ClientPool
  state: ReplicaState = 'up'
  /** Why it is in that state; empty while it has always been up. */
  reason = ''
  /** What it has answered to the question that was asked last. It may be behind that again, when it has crashed. */
  position: WalPosition = 0n
  /** Whether it is the primary itself, as in development, and so never behind. */
  isPrimary = false
  /** How many statements are on their way to it. */
  inFlight = 0
  /** When it last answered anything. */
  heardAt = 0
  served = 0
  /** How many of its statements were answered elsewhere in the end. */
  moved = 0
  /** When the question was asked whose answer is known. */
  #askedAt = 0
  readonly #line: ServerLine
  readonly #judge: (probed: Probed) => void
  readonly #waiting = new Set<Waiting>()
  #probing: Promise<void> | undefined
  #isPolling = false
  /** Called when it leaves. */
  readonly #leaving = new Set<(error: Error) => void>()

  /** `judge` gets every answer to a probe, before those who wait for it. */
  constructor(name: string, clients: ClientPool, judge: (replica: Replica, probed: Probed) => void) {
    this.name = name
    this.clients = clients
    this.#judge = (probed) => judge(this, probed)
    this.#line = new ServerLine(() => clients.poolAside())
  }

  get isUsable(): boolean {
    return this.state === 'up' || this.state === 'lagging'
  }

  /** Whether it is known to show everything up to `position`. */
  hasReached(position: WalPosition): boolean {
    return this.isPrimary || this.position >= position
  }

  /**
   * Notes what it has answered. Whether that is the latest: where a question that was asked later was answered sooner, it says
   * nothing of the server as it is now. One that was promoted keeps the position where it did.
   */
  note({ position, isInRecovery, askedAt }: ReplicaAnswer): boolean {
    if (!this.#isLatest(askedAt)) return false
    this.#askedAt = askedAt
    if (isInRecovery) {
      this.position = position
      this.isPrimary = false
    }
    if (this.isUsable) for (const waiting of this.#waiting) if (this.hasReached(waiting.position)) waiting.over(true)
    return true
  }

  #isLatest(askedAt: number): boolean {
    this.heardAt = performance.now()
    return askedAt >= this.#askedAt
  }

  /** Asks, for all who want to know meanwhile. @throws the driver's error, or one that says that there was no answer in time */
  probe(): Promise<void> {
    return (this.#probing ??= this.#probe().finally(() => (this.#probing = undefined)))
  }

  async #probe(): Promise<void> {
    const { row, askedAt } = await this.#ask()
    const { position, recovering, ...identity } = row
    const answer = { position: parsePosition(position) ?? 0n, isInRecovery: recovering, askedAt }
    if (!this.#isLatest(askedAt)) return
    this.#judge({ ...answer, identity })
    this.note(answer)
  }

  /** A question that had to make way for what the server replays is asked once more: it is there. */
  async #ask(): Promise<Answered<ProbeRow>> {
    const ask = () => this.#line.askAs<ProbeRow>(probeSql, PROBE_LIMIT_MS)
    return await ask().catch((error: unknown) => {
      if (troubleOf(error) === 'conflict') return ask()
      throw error
    })
  }

  /**
   * Calls `over` when it has got to `position`, or leaves. Nothing waits on the server itself: the snapshot of a statement that
   * waits would keep it from going on. Returns what ends the wait.
   */
  whenReached(position: WalPosition, over: (hasArrived: boolean) => void): () => void {
    const waiting: Waiting = { position, over }
    this.#waiting.add(waiting)
    if (!this.#isPolling) void this.#poll()
    return () => void this.#waiting.delete(waiting)
  }

  /** Asks for all who wait. */
  async #poll(): Promise<void> {
    this.#isPolling = true
    try {
      for (let round = 0; this.#waiting.size > 0 && this.isUsable; round++) {
        await this.probe()
        if (this.#waiting.size > 0) await delay(POLL_MS[Math.min(round, POLL_MS.length - 1)] ?? 0)
      }
    } catch {
      // The next probe meets the same. Those who wait go elsewhere when their time is over.
    } finally {
      this.#isPolling = false
    }
  }

  /** Calls `left` when it leaves. Returns what ends that: it may stay for as long as the process. */
  onLeave(left: (error: Error) => void): () => void {
    this.#leaving.add(left)
    return () => void this.#leaving.delete(left)
  }

  /** Closes its connections: what is on its way over them fails, and those who wait for one are let go. */
  leave(error: Error): void {
    for (const left of this.#leaving) left(error)
    for (const waiting of this.#waiting) waiting.over(false)
    this.clients.cutOff()
  }

  /** Closes the connection that asks. */
  close(): void {
    this.#line.close()
  }
}

function probeSql(asksSystem: boolean): string {
  return (
    `select pg_catalog.pg_last_wal_replay_lsn()::text as position, pg_catalog.pg_is_in_recovery() as recovering, ` +
    identityColumns(asksSystem)
  )
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
