import type { ConnectionUser } from '../connection-waits.ts'
import type { CommitAnswer, DatabaseConnection, Doubt, Exclusive, StatementResult } from '../database.ts'
import { ConnectionLostError, ReplicaLostError } from '../errors.ts'
import type { ServedBy } from '../replicas.ts'
import { rollBackAndRelease } from '../roll-back-and-release.ts'
import { statementKind, type StatementKind } from '../statement-kind.ts'
import type { Cancelling } from '../cancelling.ts'
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
  readonly cancelling: Cancelling
  /** Begins the transaction over that client. */
  readonly startOf: (held: PooledClient) => readonly string[]
  /** Takes a connection to the primary. */
  readonly onPrimary: () => Promise<DatabaseConnection>
}

interface Watched {
  readonly sql: string
  readonly isRaw: boolean
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
  /** Undefined after a server that was not there, until another one is found. */
  #at: Opened | undefined
  #hasAnswered = false
  /** What the statement under way may leave, on any connection that it is sent over. */
  #watched: Watched | undefined

  private constructor(parts: SnapshotParts, tries: Tries, at: Opened) {
    this.#parts = parts
    this.#tries = tries
    this.#at = at
  }

  /** @throws as {@link ReplicaSet.choose}, and what the primary's pool throws */
  static async open(parts: SnapshotParts): Promise<SnapshotOnReplica> {
    const tries = new Tries(parts.set, parts.reading, parts.cancelling)
    return new SnapshotOnReplica(parts, tries, await openNext(parts, tries))
  }

  get servedBy(): ServedBy | undefined {
    return this.#at?.servedBy
  }

  get backend(): number | undefined {
    return this.#at?.connection.backend
  }

  get isFresh(): boolean {
    return this.#at?.connection.isFresh ?? true
  }

  get isIntact(): boolean {
    return this.#at?.connection.isIntact ?? true
  }

  kindOf(sql: string): StatementKind {
    return statementKind(sql, 'postgresql')
  }

  watch(sql: string, isRaw: boolean): void {
    this.#watched = { sql, isRaw }
    this.#at?.connection.watch?.(sql, isRaw)
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
    const at = this.#at as Opened
    try {
      yield* at.connection.stream(sql, parameters, chunkSize, exclusive)
    } catch (error) {
      throw this.#lost(at, error)
    }
  }

  /** Sends something, again on another server where the first one was not there. @throws ReplicaLostError */
  async #send<T>(work: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    for (;;) {
      const at = (this.#at ??= await this.#openAnother())
      try {
        const result = await this.#counted(at, work)
        this.#hasAnswered = true
        return result
      } catch (error) {
        if (this.#hasAnswered) throw this.#lost(at, error)
        if (at.replica === undefined || !isNotThere(error)) throw error
        this.#tries.failed(at.replica, error)
        // It is given back before another one is waited for, which may fail: nobody has it then.
        this.#at = undefined
        await rollBackAndRelease(at.connection)
      }
    }
  }

  async #openAnother(): Promise<Opened> {
    const at = await openNext(this.#parts, this.#tries)
    if (this.#watched !== undefined) at.connection.watch?.(this.#watched.sql, this.#watched.isRaw)
    return at
  }

  async #counted<T>({ replica, connection }: Opened, work: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
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

  #lost({ replica }: Opened, error: unknown): unknown {
    const own = replica === undefined ? error : judged({ set: this.#parts.set, replica }, error, false)
    if (replica === undefined || !isNotThere(own)) return own
    return new ReplicaLostError(this.#parts.role, replica.name, 'snapshot', own.cause)
  }

  async isAborted(): Promise<boolean> {
    return (await this.#at?.connection.isAborted()) ?? false
  }

  async wrote(isUndonePartly: boolean): Promise<boolean> {
    return (await this.#at?.connection.wrote(isUndonePartly)) ?? false
  }

  async commit(decision?: string): Promise<CommitAnswer> {
    return (await this.#at?.connection.commit(decision)) ?? { outcome: 'committed' }
  }

  async rollback(doubt?: Doubt): Promise<void> {
    await this.#at?.connection.rollback(doubt)
  }

  cancel(): void {
    this.#at?.connection.cancel()
  }

  release(broken?: boolean): Promise<void> | undefined {
    return this.#at?.connection.release(broken)
  }
}

async function openNext(parts: SnapshotParts, tries: Tries): Promise<Opened> {
  const { set, reading, role, user, startOf, onPrimary, cancelling } = parts
  for (;;) {
    const { replica, servedBy } = await tries.next()
    if (cancelling.isOver) throw new ConnectionLostError(role, new Error('nobody waits for the snapshot any more'))
    if (replica === undefined) return { connection: await onPrimary(), replica, servedBy }
    const sent = { set, reading, choice: { replica, servedBy }, cancelling }
    try {
      const held = await takeFrom(replica, { role, em: reading.em, user, cancelling })
      const connection = new PostgresConnection(held, {
        role,
        start: [...CHECK, ...startOf(held)],
        isReading: true,
        assertStarted: (carried, error) => assertThere(sent, carried, error),
      })
      return { connection, replica, servedBy }
    } catch (error) {
      tries.failed(replica, judged({ set, replica }, error, true))
    }
  }
}
