import type { SqlEntityManager } from '@mikro-orm/sql'
import type { CompiledQuery } from 'kysely'
import type { Admit, Reads, StatementResult } from './database-link.ts'
import type { ClientSource } from './client-source.ts'
import type { HeldClient } from './held-client.ts'
import { PostgresLink, resultOf } from './postgres-link.ts'
import { rollBackAndRelease } from './roll-back-and-release.ts'
import { statementKind } from './statement-kind.ts'

/** Reads outside of any transaction, each over a client that is taken for it. */
export class PostgresReads implements Reads {
  readonly #role: string
  readonly #clients: ClientSource
  readonly #em: SqlEntityManager
  readonly #held = new Set<HeldClient>()

  constructor(role: string, clients: ClientSource, em: SqlEntityManager) {
    this.#role = role
    this.#clients = clients
    this.#em = em
  }

  async execute({ sql, parameters }: CompiledQuery, admit: Admit): Promise<StatementResult> {
    const held = await this.#clients.take(this.#em)
    this.#held.add(held)
    try {
      admit(statementKind(sql), held.backend)
      return resultOf(await held.query(sql, parameters))
    } finally {
      this.#held.delete(held)
      const releasing = held.release()
      if (releasing !== undefined) await releasing
    }
  }

  /** A cursor lives in a transaction, and here it has one to itself. */
  async *stream({ sql, parameters }: CompiledQuery, chunkSize: number, admit: Admit): AsyncIterable<unknown[]> {
    const held = await this.#clients.take(this.#em)
    this.#held.add(held)
    const link = new PostgresLink(held, this.#role, ['begin read only'])
    try {
      admit(statementKind(sql), held.backend)
      yield* link.stream(sql, parameters, chunkSize, (work) => work())
    } finally {
      this.#held.delete(held)
      await rollBackAndRelease(link)
    }
  }

  cancel(): void {
    for (const held of this.#held) held.cancel()
  }
}
