import type { CompiledQuery, DatabaseConnection } from 'kysely'
import { LeftBehind } from '../left-behind.ts'
import type { Relations } from '../relations.ts'
import { CLEAN, deallocate, PREPARED } from './cleaning.ts'

const BEGINS = /^\s*(?:begin|start)\b/i
const ENDS = /^\s*(?:commit|end|abort|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b))\b/i
const CLOSE = 'select pg_terminate_backend(pg_backend_pid())'

/**
 * Watches the connections that Kysely lends out of the pool of an ORM, for roles whose statements MikroORM sends, and cleans
 * them before somebody else has them.
 */
export class LentConnections {
  readonly #relations: () => Relations
  /** Sets a connection up as a new one is. @throws where only a new one can be */
  readonly #setUp: (connection: DatabaseConnection) => Promise<void>
  readonly #watched = new WeakMap<DatabaseConnection, LeftBehind>()
  /** Those over which a transaction was begun and not ended. */
  readonly #begun = new WeakSet<DatabaseConnection>()

  constructor(relations: () => Relations, setUp: (connection: DatabaseConnection) => Promise<void>) {
    this.#relations = relations
    this.#setUp = setUp
  }

  /** Watches the use of a connection. */
  watch(connection: DatabaseConnection): void {
    if (this.#watched.has(connection)) return
    const left = new LeftBehind(this.#relations)
    this.#watched.set(connection, left)
    const executeQuery = connection.executeQuery.bind(connection)
    const streamQuery = connection.streamQuery.bind(connection)
    const note = ({ sql }: CompiledQuery): void => {
      left.note(sql, !isMikroOrmsWrite(sql))
      if (BEGINS.test(sql)) this.#begun.add(connection)
      else if (ENDS.test(sql)) this.#begun.delete(connection)
    }
    // As Kysely does it where it logs statements: https://github.com/kysely-org/kysely/blob/v0.29.6/src/driver/runtime-driver.ts
    connection.executeQuery = (sent, options) => {
      note(sent)
      return executeQuery(sent, options)
    }
    connection.streamQuery = (sent, chunkSize, options) => {
      note(sent)
      return streamQuery(sent, chunkSize, options)
    }
  }

  /** Whether something is left on it for sure. */
  holds(connection: DatabaseConnection): boolean {
    return this.#watched.get(connection)?.isCertain === true
  }

  /** Cleans a connection behind its use where something may be left on it, or has the server close it. Never rejects. */
  async clean(connection: DatabaseConnection): Promise<void> {
    const left = this.#watched.get(connection)
    const isBegun = this.#begun.delete(connection)
    if (left === undefined || !(left.isPossible || isBegun)) return
    const send = async (sql: string): Promise<unknown[]> => (await connection.executeQuery(query(sql))).rows
    try {
      if (isBegun) await send('rollback')
      await send(CLEAN)
      await deallocate(await send(PREPARED), send)
      await this.#setUp(connection)
    } catch {
      await send(CLOSE).catch(() => undefined)
    }
    left.clear()
  }
}

/** Statements of MikroORM's own and of the program look the same, but for this. */
function isMikroOrmsWrite(sql: string): boolean {
  return /^(?:insert into|update|delete from) "/.test(sql)
}

function query(sql: string): CompiledQuery {
  return {
    sql,
    parameters: [],
    query: { kind: 'RawNode', sqlFragments: [sql], parameters: [] },
    queryId: { queryId: 'koa-sqlassist' },
  }
}
