import type { PoolClient, QueryResult } from 'pg'

/** The part of pg's own queries that is called here; pg-cursor relies on the same: https://node-postgres.com/apis/client */
interface ProtocolConnection {
  parse(statement: { readonly text: string }): void
  bind(portal: object): void
  describe(what: { readonly type: 'P' }): void
  execute(portal: object): void
}
interface PreparedQuery {
  prepare(connection: ProtocolConnection): void
}
type Callback = (error: Error | null, results: QueryResult | QueryResult[]) => void
type QueryClass = new (text: string, values: readonly unknown[], callback: Callback) => PreparedQuery

/**
 * Sends `start` and, without waiting, a statement with parameters. There is one Sync, behind all of it: when one of them
 * fails, a BEGIN that was cancelled for instance, the server skips the rest, which never runs in autocommit.
 */
export function beginWithParameters(
  client: PoolClient,
  start: readonly string[],
  text: string,
  values: readonly unknown[],
): Promise<QueryResult | QueryResult[]> {
  const { Query } = client.constructor as unknown as { readonly Query: QueryClass }
  return new Promise((resolve, reject) => {
    const query = new Query(text, values, (error, results) => (error === null ? resolve(results) : reject(error)))
    const prepare = query.prepare.bind(query)
    query.prepare = (connection) => {
      for (const statement of start) {
        connection.parse({ text: statement })
        connection.bind({})
        connection.describe({ type: 'P' })
        connection.execute({})
      }
      prepare(connection)
    }
    client.query(query as never)
  })
}
