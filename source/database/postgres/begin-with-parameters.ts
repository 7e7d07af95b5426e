import type { PoolClient, QueryResult } from 'pg'
import { onceFor } from '../once-for.ts'
import type { AnsweredQuery, CarriedOut } from './carried-out.ts'
import { whenAnswered } from './server-errors.ts'

/** The part of pg's own queries that is called here; pg-cursor relies on the same: https://node-postgres.com/apis/client */
interface ProtocolConnection {
  parse(statement: { readonly text: string }): void
  bind(portal: object): void
  describe(what: { readonly type: 'P' }): void
  execute(portal: object): void
  sync(): void
}
interface PreparedQuery extends AnsweredQuery {
  requiresPreparation(): boolean
  prepare(connection: ProtocolConnection): void
  _getRows(connection: ProtocolConnection): void
}
type Callback = (error: Error | null, results: QueryResult | QueryResult[]) => void
type QueryClass = new (text: string, values: readonly unknown[], callback: Callback) => PreparedQuery

/**
 * Sends `start`, a statement with or without parameters, and `end`, without waiting in between. There is one Sync, behind
 * all of it. When one of them fails, for instance a BEGIN that was cancelled, the server skips the rest, which never runs in
 * autocommit. The server takes no text of several statements. `carried` gets each that was carried out, also before an error.
 */
export function beginWithParameters(
  client: PoolClient,
  start: readonly string[],
  text: string,
  values: readonly unknown[],
  end: readonly string[],
  carried?: CarriedOut,
): Promise<QueryResult | QueryResult[]> {
  const { Query } = client.constructor as unknown as { readonly Query: QueryClass }
  const BeginningQuery = beginningQueryClass(Query)
  return new Promise((resolve, reject) => {
    const query = new BeginningQuery(text, values, (error, results) =>
      error === null ? resolve(results) : whenAnswered(client, error, reject),
    )
    query.start = start
    query.end = end
    query.carried = carried
    client.query(query as never)
  })
}

const beginningQueryClass = onceFor(makeBeginningQueryClass)

function makeBeginningQueryClass(Query: QueryClass) {
  return class BeginningQuery extends Query {
    start: readonly string[] = []
    end: readonly string[] = []
    carried: CarriedOut | undefined

    override requiresPreparation(): boolean {
      return true
    }

    override prepare(connection: ProtocolConnection): void {
      sendEach(connection, this.start)
      super.prepare(connection)
    }

    override handleCommandComplete(message: unknown, connection: unknown): void {
      super.handleCommandComplete(message, connection)
      this.carried?.results.push(this._result)
    }

    /** Called by pg where it has sent all but Execute and Sync. */
    override _getRows(connection: ProtocolConnection): void {
      connection.execute({})
      sendEach(connection, this.end)
      connection.sync()
    }
  }
}

function sendEach(connection: ProtocolConnection, statements: readonly string[]): void {
  for (const statement of statements) {
    connection.parse({ text: statement })
    connection.bind({})
    connection.describe({ type: 'P' })
    connection.execute({})
  }
}
