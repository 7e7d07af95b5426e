import type { CompiledQuery } from 'kysely'
import type { ConnectionUser } from '../connection-waits.ts'
import type { Admit, Reads, StatementResult } from '../database.ts'
import { ReplicaLostError } from '../errors.ts'
import { rollBackAndRelease } from '../roll-back-and-release.ts'
import { statementKind } from '../statement-kind.ts'
import { Cancelling } from '../cancelling.ts'
import { CarriedOut } from './carried-out.ts'
import { assertThere, judged, isNotThere, type SentTo } from './not-there.ts'
import type { PooledClient } from './pooled-client.ts'
import { PostgresConnection } from './postgres-connection.ts'
import { readAlone, type ReadingTransaction } from './read-alone.ts'
import { CHECK } from './replica-check.ts'
import type { Reading, ReplicaSet } from './replica-set.ts'
import { resultOf } from './results.ts'
import type { Results } from './send-query.ts'
import { takeFrom } from './take-from-replica.ts'
import { Tries } from './tries.ts'

/** The session of the statements, and where they go. */
interface ReplicaReadsParts {
  readonly role: string
  readonly set: ReplicaSet
  readonly reading: Reading
  readonly user: ConnectionUser | undefined
  /** Around each statement. */
  readonly transaction: ReadingTransaction
  /** For what no replica can answer. */
  readonly primary: Reads
}

/**
 * Reads of a session from the replicas of its role. Each server is asked in front of the statement how far it is; what comes
 * from one that is not there is thrown away, and the statement sent to another. It cannot write, and may be sent again.
 */
export class ReplicaReads implements Reads {
  readonly #parts: ReplicaReadsParts
  readonly #transaction: ReadingTransaction
  readonly #held = new Set<PooledClient>()
  /** Of the statements under way; the next ones have another. */
  #cancelling = new Cancelling()

  constructor(parts: ReplicaReadsParts) {
    this.#parts = parts
    this.#transaction = { ...parts.transaction, start: [...CHECK, ...parts.transaction.start] }
  }

  async execute(query: CompiledQuery, admit: Admit): Promise<StatementResult> {
    const { set, reading, primary } = this.#parts
    const cancelling = this.#cancelling
    const tries = new Tries(set, reading, cancelling)
    for (;;) {
      const { replica, servedBy } = await tries.next()
      const admitHere: Admit = (kind, backend) => admit(kind, backend, servedBy)
      if (cancelling.isOver) admitHere(statementKind(query.sql, 'postgresql'))
      if (replica === undefined) return await primary.execute(query, admitHere)
      try {
        const sent = { set, reading, choice: { replica, servedBy }, cancelling }
        return await this.#executeOver(sent, query, admitHere)
      } catch (error) {
        tries.failed(replica, error)
      }
    }
  }

  async #executeOver(sent: SentTo, query: CompiledQuery, admit: Admit): Promise<StatementResult> {
    const { set, reading, user, role } = this.#parts
    const { choice, cancelling } = sent
    const { replica } = choice
    const carried = new CarriedOut()
    let held: PooledClient | undefined
    let result: Results
    replica.inFlight++
    set.watch.suspect(replica)
    try {
      held = await takeFrom(replica, { role, em: reading.em, user, cancelling })
      this.#held.add(held)
      held.left.note(query.sql, admit(statementKind(query.sql, 'postgresql'), held.backend))
      result = await readAlone(held, this.#transaction, query.sql, query.parameters, carried)
    } catch (error) {
      return assertThere(sent, carried, error, held === undefined) as never
    } finally {
      replica.inFlight--
      if (held !== undefined) {
        this.#held.delete(held)
        const releasing = held.release()
        if (releasing !== undefined) await releasing
      }
    }
    assertThere(sent, carried)
    return resultOf(result)
  }

  /** @throws ReplicaLostError where it has handed out rows, and the replica breaks off */
  async *stream(query: CompiledQuery, chunkSize: number, admit: Admit): AsyncIterable<unknown[]> {
    const { set, reading, role, primary } = this.#parts
    const cancelling = this.#cancelling
    const tries = new Tries(set, reading, cancelling)
    for (;;) {
      const { replica, servedBy } = await tries.next()
      const admitHere: Admit = (kind, backend) => admit(kind, backend, servedBy)
      if (cancelling.isOver) admitHere(statementKind(query.sql, 'postgresql'))
      if (replica === undefined) return yield* primary.stream(query, chunkSize, admitHere)
      const sent = { set, reading, choice: { replica, servedBy }, cancelling }
      let hasRows = false
      try {
        for await (const rows of this.#streamOver(sent, query, chunkSize, admitHere)) {
          hasRows = true
          yield rows
        }
        return
      } catch (error) {
        if (hasRows && isNotThere(error)) throw new ReplicaLostError(role, replica.name, 'stream', error.cause)
        tries.failed(replica, error)
      }
    }
  }

  /** A cursor lives in a transaction, and here it has one to itself. */
  async *#streamOver(
    sent: SentTo,
    { sql, parameters }: CompiledQuery,
    chunkSize: number,
    admit: Admit,
  ): AsyncIterable<unknown[]> {
    const { set, reading, user, role } = this.#parts
    const { choice, cancelling } = sent
    const { replica } = choice
    replica.inFlight++
    set.watch.suspect(replica)
    const leave = set.streams(reading.em, replica)
    let held: PooledClient | undefined
    let connection: PostgresConnection | undefined
    try {
      held = await takeFrom(replica, { role, em: reading.em, user, cancelling })
      this.#held.add(held)
      held.left.note(sql, admit(statementKind(sql, 'postgresql'), held.backend))
      const start = this.#transaction.start
      connection = new PostgresConnection(held, {
        role,
        start,
        isReading: true,
        assertStarted: (carried, error) => assertThere(sent, carried, error),
      })
      yield* connection.stream(sql, parameters, chunkSize, (work) => work())
    } catch (error) {
      throw judged({ set, replica }, error, held === undefined)
    } finally {
      replica.inFlight--
      leave()
      if (held !== undefined) this.#held.delete(held)
      if (connection === undefined) await held?.release()
      else await rollBackAndRelease(connection)
    }
  }

  cancel(): void {
    this.#cancelling.cancel()
    this.#cancelling = new Cancelling()
    for (const held of this.#held) held.cancel()
    this.#parts.primary.cancel()
  }
}
