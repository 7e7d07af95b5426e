import { parsePosition, type WalPosition } from '../wal-position.ts'
import type { ReplicaState } from '../replicas.ts'
import type { ClientPool } from './client-pool.ts'
import type { ReplicaAnswer } from './replica-check.ts'
import { identityColumns, PROBE_LIMIT_MS, type ServerIdentity } from './server-identity.ts'
import { ServerLine } from './server-line.ts'

/** What a probe has answered. */
export interface Probed extends ReplicaAnswer {
  readonly identity: ServerIdentity
}

interface ProbeRow extends ServerIdentity {
  readonly position: string | null
  readonly recovering: boolean
}

/** Those who wait until it is somewhere. */
interface Waiting {
  readonly position: WalPosition
  readonly arrived: () => void
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
  /** What it last answered. It may be behind that again, when it has crashed. */
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
  readonly #line: ServerLine
  readonly #judge: (probed: Probed) => void
  readonly #waiting = new Set<Waiting>()
  #probing: Promise<void> | undefined
  #isPolling = false
  /** Rejects when it leaves, for those who wait for a connection to it. */
  #leaving = newLeaving()

  /** `judge` gets every answer to a probe, before those who wait for it. */
  constructor(name: string, clients: ClientPool, judge: (replica: Replica, probed: Probed) => void) {
    this.name = name
    this.clients = clients
    this.#judge = (probed) => judge(this, probed)
    this.#line = new ServerLine(() => clients.pool())
  }

  get isUsable(): boolean {
    return this.state === 'up' || this.state === 'lagging'
  }

  /** Whether it is known to show everything up to `position`. */
  hasReached(position: WalPosition): boolean {
    return this.isPrimary || this.position >= position
  }

  /** Notes what it has answered. A server that was promoted keeps the position where it did. */
  note({ position, isInRecovery }: ReplicaAnswer): void {
    this.heardAt = performance.now()
    if (isInRecovery) this.position = position
    for (const waiting of this.#waiting) if (this.hasReached(waiting.position)) waiting.arrived()
  }

  /** Asks, for all who want to know meanwhile. @throws the driver's error, or one that says that there was no answer in time */
  probe(): Promise<void> {
    return (this.#probing ??= this.#probe().finally(() => (this.#probing = undefined)))
  }

  async #probe(): Promise<void> {
    const { position, recovering, ...identity } = await this.#line.askAs<ProbeRow>(probeSql, PROBE_LIMIT_MS)
    const answer = { position: parsePosition(position) ?? 0n, isInRecovery: recovering }
    this.#judge({ ...answer, identity })
    this.note(answer)
  }

  /**
   * Resolves when it has got to `position`; never, where it does not. Nothing waits on the server itself: the snapshot of a
   * statement that waits would keep it from going on. `stop` ends the wait.
   */
  whenReached(position: WalPosition): { readonly arrived: Promise<Replica>; readonly stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<Replica>()
    const waiting: Waiting = { position, arrived: () => resolve(this) }
    this.#waiting.add(waiting)
    if (!this.#isPolling) void this.#poll()
    return { arrived: promise, stop: () => void this.#waiting.delete(waiting) }
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

  /** Rejects with the error of {@link leave}. */
  get whenLeft(): Promise<never> {
    return this.#leaving.promise
  }

  /** Closes its connections: what is on its way over them fails, and those who wait for one are let go. */
  leave(error: Error): void {
    const leaving = this.#leaving
    this.#leaving = newLeaving()
    leaving.reject(error)
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

function newLeaving(): PromiseWithResolvers<never> {
  const leaving = Promise.withResolvers<never>()
  // Nobody may be there to hear of it.
  leaving.promise.catch(() => undefined)
  return leaving
}
