import type { PoolClient, QueryResult } from 'pg'
import type { ConnectionUser } from '../connection-waits.ts'
import { LeftBehind } from '../left-behind.ts'
import type { Relations } from '../relations.ts'
import { CarriedOut } from './carried-out.ts'
import { BEFORE_ROLLBACK, CLEAN, deallocate, PREPARED, UNLOCK } from './cleaning.ts'
import { noteHolder } from './held-clients.ts'
import { ReportedSettings } from './reported-settings.ts'
import type { Results } from './send-query.ts'
import { SendingClient, type ClientOwner } from './sending-client.ts'

/** What a client has around it. */
export interface ClientSurroundings extends ClientOwner {
  readonly relations: () => Relations
  /** Sets a client up as a new one is. @throws where only a new one can be */
  readonly setUp: (client: PoolClient, held: PooledClient) => Promise<void>
}

/** What a client is taken for. */
interface Use {
  /** Whether it may write. */
  readonly writes: boolean
  /** Whether something else has taken it, and gives it back. */
  readonly isLent: boolean
  /** Who waits for connections while it has this one. */
  readonly user?: ConnectionUser | undefined
}

/** A client out of the pool of an ORM, which is given back clean. */
export class PooledClient extends SendingClient {
  readonly #around: ClientSurroundings
  readonly #isLent: boolean
  readonly #settings: ReportedSettings
  /** What may be left on the connection, which then goes back only when it is clean. */
  readonly left: LeftBehind
  /** It was reset, and not set up since as a new one is. */
  #isReset = false
  /** Who it is taken for. Undefined once it is about to come back. */
  user: ConnectionUser | undefined

  constructor(client: PoolClient, around: ClientSurroundings, { writes, isLent, user }: Use) {
    super(client, around, writes)
    this.user = user
    noteHolder(client, this)
    this.#around = around
    this.#isLent = isLent
    this.#settings = ReportedSettings.of(client)
    this.left = new LeftBehind(around.relations)
  }

  /**
   * Rolls back, behind `ahead`. In the same round trip goes what is left on the connection since BEGIN. @throws as `query`
   */
  async rollBack(ahead = ''): Promise<Results> {
    // Behind an error nothing but ROLLBACK is carried out.
    const isOpen = this.status === 'T'
    if (!this.left.isPossible) return await this.query(`${ahead}rollback`)
    const sql = isOpen ? `${ahead}${BEFORE_ROLLBACK}rollback` : `rollback;${UNLOCK};${PREPARED}`
    const results = await this.query(sql)
    await this.wasCleaned(results, isOpen ? -2 : -1)
    return results
  }

  /** Notes that what is left was removed. What SQL has prepared is listed by the result at `prepared`, and dropped. */
  async wasCleaned(results: Results, prepared: number): Promise<void> {
    await deallocate((results as QueryResult[]).at(prepared)?.rows, (sql) => this.query(sql))
    this.left.clear()
  }

  /**
   * Ends a transaction by `sql`, and removes what is left on the connection in the same round trip. `carried` gets what was
   * carried out, also where something behind it fails. @throws as `query`
   */
  async endClean(sql: string, carried: CarriedOut): Promise<void> {
    await this.#clean(`${sql};`, carried)
  }

  async #clean(ahead = '', carried = new CarriedOut()): Promise<void> {
    await this.wasCleaned(await this.query(`${ahead}${CLEAN};${PREPARED}`, undefined, carried), -1)
    this.#isReset = true
  }

  /** Takes the settings as they are now for those that the next one is to find. */
  takeSettings(): void {
    this.#settings.markClean()
  }

  /**
   * Gives the client back, or closes it where it is `broken`, lost or still in a transaction. A request to cancel that
   * is on its way could hit the next one to be served. So its answer comes first, with a promise that never rejects, and
   * without an answer the client is closed. One that may have something left on it is cleaned first; nobody waits for that,
   * unless it is known what is left.
   */
  release(broken = false): Promise<void> | undefined {
    this.user = undefined
    const { cancelling } = this
    if (cancelling !== undefined && !this.isLost) return cancelling.then(() => this.#giveBack(broken))
    return this.#giveBack(broken)
  }

  #giveBack(broken: boolean): Promise<void> | undefined {
    const isAwaited = this.left.isCertain
    const cleaning = this.#letGoClean(broken)
    return isAwaited ? cleaning : undefined
  }

  /** Does the same for a client that something else gives back; `answer` is called where nobody has to wait for the rest. */
  async handOver(answer: () => void): Promise<void> {
    const { cancelling } = this
    if (cancelling !== undefined && !this.isLost) await cancelling
    await this.untilReady()
    // Raw SQL may have begun a transaction.
    if (this.status !== null && this.status !== 'I') await this.rollBack().catch(() => undefined)
    const isAwaited = this.left.isCertain
    const cleaning = this.#letGoClean(false)
    if (cleaning !== undefined && !isAwaited) answer()
    await cleaning
  }

  /** Lets the client go; with a promise, which never rejects, where it is cleaned first. */
  #letGoClean(broken: boolean): Promise<void> | undefined {
    noteHolder(this.client, undefined)
    const isReusable = !broken && !this.mayBeCancelled && this.status === 'I'
    const isDirty = this.left.isPossible || !(this.#isReset || this.#settings.areClean)
    if (isReusable && (isDirty || this.#isReset)) return this.#cleanAndLetGo(isDirty)
    this.#letGo(isReusable)
    return undefined
  }

  async #cleanAndLetGo(isDirty: boolean): Promise<void> {
    let isClean = false
    try {
      if (isDirty) await this.#clean()
      await this.#around.setUp(this.client, this)
      this.#settings.markClean()
      isClean = this.status === 'I'
    } catch {
      // A new one takes its place.
    }
    this.#letGo(isClean)
  }

  #letGo(isReusable: boolean): void {
    this.leave()
    if (!this.#isLent) this.client.release(!isReusable)
    else if (!isReusable) this.close()
  }
}
