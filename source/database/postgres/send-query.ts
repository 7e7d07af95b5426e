import type { PoolClient, QueryResult } from 'pg'
import { whenAnswered } from './server-errors.ts'

/** What one string of SQL gave back: more than one result, if it holds several statements. */
export type Results = QueryResult | QueryResult[]

/** As `client.query()` does it, which goes by way of another promise. */
export function sendQuery(
  client: PoolClient,
  sql: string,
  parameters: readonly unknown[] | undefined,
): Promise<Results> {
  return new Promise((resolve, reject) => {
    client.query(sql, parameters as unknown[], (error: Error | null, result) => {
      if (error === null) resolve(result)
      else whenAnswered(client, error, reject)
    })
  })
}
