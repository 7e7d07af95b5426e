import type { SqlEntityManager } from '@mikro-orm/sql'
import type { CompiledQuery } from 'kysely'
import type { Exclusive, StatementResult } from '../database.ts'
import type { PooledClient } from './pooled-client.ts'
import { PostgresConnection } from './postgres-connection.ts'
import { rollBackAndRelease } from '../roll-back-and-release.ts'
import { StatementQueue } from '../statement-queue.ts'

/** By session. */
export type StreamingClients = WeakMap<SqlEntityManager, Set<StreamingClient>>

/**
 * A client over which a session streams, in a transaction of its own. Other reads of the session use it where the pool has
 * no other one left: they would wait for the stream, which waits for them.
 */
export class StreamingClient {
  readonly held: PooledClient
  readonly connection: PostgresConnection
  readonly #queue = new StatementQueue()
  #streams = 0

  constructor(held: PooledClient, role: string) {
    this.held = held
    this.connection = new PostgresConnection(held, { role, start: ['begin read only'], isReading: true })
  }

  enter(): void {
    this.#streams++
  }

  /** A stream is over; whether it was the last one. */
  leave(): boolean {
    return --this.#streams === 0
  }

  readonly exclusive: Exclusive = async (work) => {
    const turn = this.#queue.enter()
    if (turn !== undefined) await turn
    try {
      return await work()
    } finally {
      this.#queue.leave()
    }
  }

  /** Between two chunks of the stream, which survives when the statement fails. */
  async execute({ sql, parameters }: CompiledQuery): Promise<StatementResult> {
    return await this.exclusive(async () => {
      await this.connection.execute('savepoint sqlassist_read', [])
      try {
        const result = await this.connection.execute(sql, parameters)
        await this.connection.execute('release sqlassist_read', [])
        return result
      } catch (error) {
        await this.connection.execute('rollback to sqlassist_read', []).catch(() => undefined)
        throw error
      }
    })
  }

  async close(): Promise<void> {
    await this.exclusive(() => rollBackAndRelease(this.connection))
  }
}
