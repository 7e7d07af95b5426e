import type { SqlEntityManager } from '@mikro-orm/sql'
import type { CompiledQuery } from 'kysely'
import type { ConnectionUser } from '../connection-waits.ts'
import type { Admit, Reads, StatementResult } from '../database.ts'
import type { ClientPool } from './client-pool.ts'
import type { PooledClient } from './pooled-client.ts'
import { resultOf } from './results.ts'
import { readAlone, type ReadingTransaction } from './read-alone.ts'
import { StreamingClient, type StreamingClients } from './postgres-streaming.ts'
import { statementKind } from '../statement-kind.ts'

/** Where the clients for the reads of a session come from, and what is around each of its statements. */
interface ReadingSource {
  readonly clients: ClientPool
  readonly em: SqlEntityManager
  /** Who they are taken for. */
  readonly user: ConnectionUser | undefined
  readonly transaction: ReadingTransaction
}

/** Reads of a session, each over a client that is taken for it, in a READ ONLY transaction of its own. */
export class PostgresReads implements Reads {
  readonly #role: string
  readonly #clients: ClientPool
  readonly #em: SqlEntityManager
  readonly #user: ConnectionUser | undefined
  readonly #transaction: ReadingTransaction
  readonly #streaming: StreamingClients
  readonly #held = new Set<PooledClient>()

  constructor(role: string, { clients, em, user, transaction }: ReadingSource, streaming: StreamingClients) {
    this.#role = role
    this.#clients = clients
    this.#em = em
    this.#user = user
    this.#transaction = transaction
    this.#streaming = streaming
  }

  async execute(query: CompiledQuery, admit: Admit): Promise<StatementResult> {
    const streaming = this.#streamingInTheWay()
    if (streaming !== undefined) return await this.#executeOver(streaming, query, admit)
    const held = await this.#clients.take(this.#em, false, this.#user)
    this.#held.add(held)
    try {
      held.left.note(query.sql, admit(statementKind(query.sql, 'postgresql'), held.backend))
      return resultOf(await readAlone(held, this.#transaction, query.sql, query.parameters))
    } finally {
      this.#held.delete(held)
      const releasing = held.release()
      if (releasing !== undefined) await releasing
    }
  }

  async #executeOver(streaming: StreamingClient, query: CompiledQuery, admit: Admit): Promise<StatementResult> {
    const { held } = streaming
    held.left.note(query.sql, admit(statementKind(query.sql, 'postgresql'), held.backend))
    streaming.enter()
    this.#held.add(streaming.held)
    try {
      return await streaming.execute(query)
    } finally {
      this.#held.delete(streaming.held)
      await this.#leave(streaming)
    }
  }

  /** A cursor lives in a transaction, and here it has one to itself. */
  async *stream({ sql, parameters }: CompiledQuery, chunkSize: number, admit: Admit): AsyncIterable<unknown[]> {
    const client = this.#streamingInTheWay() ?? (await this.#open())
    client.enter()
    this.#held.add(client.held)
    try {
      client.held.left.note(sql, admit(statementKind(sql, 'postgresql'), client.held.backend))
      yield* client.connection.stream(sql, parameters, chunkSize, client.exclusive)
    } finally {
      this.#held.delete(client.held)
      await this.#leave(client)
    }
  }

  /** One that this session streams over, for statements that would wait for a client. */
  #streamingInTheWay(): StreamingClient | undefined {
    const streaming = this.#streaming.get(this.#em)
    return streaming !== undefined && this.#clients.isExhausted ? streaming.values().next().value : undefined
  }

  async #open(): Promise<StreamingClient> {
    const client = new StreamingClient(await this.#clients.take(this.#em, false, this.#user), this.#role)
    const streaming = this.#streaming.get(this.#em)
    if (streaming === undefined) this.#streaming.set(this.#em, new Set([client]))
    else streaming.add(client)
    return client
  }

  async #leave(client: StreamingClient): Promise<void> {
    if (!client.leave()) return
    this.#streaming.get(this.#em)?.delete(client)
    await client.close()
  }

  cancel(): void {
    for (const held of this.#held) held.cancel()
  }
}
