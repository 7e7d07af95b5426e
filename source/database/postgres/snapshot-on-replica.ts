import type { ConnectionUser } from '../connection-waits.ts'
import type { CommitAnswer, DatabaseConnection, Doubt, Exclusive, StatementResult } from '../database.ts'
import { ReplicaLostError } from '../errors.ts'
import type { ServedBy } from '../replicas.ts'
import { rollBackAndRelease } from '../roll-back-and-release.ts'
import type { StatementKind } from '../statement-kind.ts'
import { assertThere, isNotThere, judged } from './not-there.ts'
import type { PooledClient } from './pooled-client.ts'
import { PostgresConnection } from './postgres-connection.ts'
import type { Replica } from './replica.ts'
import { CHECK } from './replica-check.ts'
import type { Reading, ReplicaSet } from './replica-set.ts'
import { takeFrom } from './take-from-replica.ts'
import { Tries } from './tries.ts'

interface SnapshotParts {
  readonly role: string
  readonly set: ReplicaSet
  readonly reading: Reading
  readonly user: ConnectionUser | undefined
  /** Begins the transaction over that client. */
  readonly startOf: (held: PooledClient) => readonly string[]
  /** Takes a connection to the primary. */
  readonly onPrimary: () => Promise<DatabaseConnection>
}

/** A connection to one of the servers. */
interface Opened {
  readonly connection: DatabaseConnection
  /** Undefined: the primary. */
  readonly replica: Replica | undefined
  readonly servedBy: ServedBy
}

/**
 * The transaction of a session that reads one snapshot, on a replica. Until the first answer it can move to another server; from
 * then on the snapshot is there, and only there.
 */
export class SnapshotOnReplica implements DatabaseConnection {
  readonly #parts: SnapshotParts
  readonly #tries: Tries
  #at: Opened
  #hasAnswered = false

  private constructor(parts: SnapshotParts, tries: Tries, at: Opened) {
    this.#parts = parts
    this.#tries = tries
    this.#at = at
  }

  /** @throws as {@link ReplicaSet.choose}, and what the primary's pool throws */
  static async open(parts: SnapshotParts): Promise<SnapshotOnReplica> {
    const tries = new Tries(parts.set, parts.reading)
    return new SnapshotOnReplica(parts, tries, await openNext(parts, tries))
  }

  get servedBy(): ServedBy {
    return this.#at.servedBy
  }

  get backend(): number | undefined {
    return this.#at.connection.backend
  }

  get isFresh(): boolean {
    return this.#at.connection.isFresh
  }

  get isIntact(): boolean {
    return this.#at.connection.isIntact
  }

  kindOf(sql: string): StatementKind {
    return this.#at.connection.kindOf(sql)
  }

  watch(sql: string, isRaw: boolean): void {
    this.#at.connection.watch?.(sql, isRaw)
  }

  async begin(): Promise<void> {
    await this.#send(async (connection) => await connection.begin?.())
  }

  execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    return this.#send((connection) => connection.execute(sql, parameters))
  }

  async *stream(
    sql: string,
    parameters: readonly unknown[],
    chunkSize: number,
    exclusive: Exclusive,
  ): AsyncIterable<unknown[]> {
    // Rows that were handed out cannot be taken back.
    if (!this.#hasAnswered) await exclusive(() => this.begin())
    try {
      yield* this.#at.connection.stream(sql, parameters, chunkSize, exclusive)
    } catch (error) {
      throw this.#lost(error)
    }
  }

  /** Sends something, again on another server where the first one was not there. @throws ReplicaLostError */
  async #send<T>(work: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    if (this.#hasAnswered) return await this.#counted(work).catch((error: unknown) => Promise.reject(this.#lost(error)))
    for (;;) {
      const { replica, connection } = this.#at
      try {
        const result = await this.#counted(work)
        this.#hasAnswered = true
        return result
      } catch (error) {
        if (replica === undefined || !isNotThere(error)) throw error
        this.#tries.failed(replica, error)
        await rollBackAndRelease(connection)
        this.#at = await openNext(this.#parts, this.#tries)
      }
    }
  }

  async #counted<T>(work: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const { replica, connection } = this.#at
    if (replica === undefined) return await work(connection)
    replica.inFlight++
    this.#parts.set.watch.suspect(replica)
    try {
      const result = await work(connection)
      if (this.#hasAnswered) replica.served++
      return result
    } finally {
      replica.inFlight--
    }
  }

  #lost(error: unknown): unknown {
    const { replica } = this.#at
    const own = replica === undefined ? error : judged({ set: this.#parts.set, replica }, error, false)
    if (replica === undefined || !isNotThere(own)) return own
    return new ReplicaLostError(this.#parts.role, replica.name, 'snapshot', own.cause)
  }

  isAborted(): Promise<boolean> {
    return this.#at.connection.isAborted()
  }

  wrote(isUndonePartly: boolean): Promise<boolean> {
    return this.#at.connection.wrote(isUndonePartly)
  }

  commit(decision?: string): Promise<CommitAnswer> {
    return this.#at.connection.commit(decision)
  }

  async rollback(doubt?: Doubt): Promise<void> {
    await this.#at.connection.rollback(doubt)
  }

  cancel(): void {
    this.#at.connection.cancel()
  }

  release(broken?: boolean): Promise<void> | undefined {
    return this.#at.connection.release(broken)
  }
}

async function openNext(parts: SnapshotParts, tries: Tries): Promise<Opened> {
  const { set, reading, role, user, startOf, onPrimary } = parts
  for (;;) {
    const { replica, servedBy } = await tries.next()
    if (replica === undefined) return { connection: await onPrimary(), replica, servedBy }
    const sent = { set, reading, choice: { replica, servedBy } }
    try {
      const held = await takeFrom(replica, { role, em: reading.em, user })
      const connection = new PostgresConnection(held, {
        role,
        start: [...CHECK, ...startOf(held)],
        isReading: true,
        assertStarted: (results, error) => assertThere(sent, results, error),
      })
      return { connection, replica, servedBy }
    } catch (error) {
      tries.failed(replica, judged({ set, replica }, error, true))
    }
  }
}
