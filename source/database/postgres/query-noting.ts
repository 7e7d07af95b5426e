import type { PoolClient } from 'pg'
import type { AnsweredQuery, CarriedOut } from './carried-out.ts'
import type { Results } from './send-query.ts'
import { whenAnswered } from './server-errors.ts'

type Callback = (error: Error | null, results: Results) => void
type QueryClass = new (text: string, values: undefined, callback: Callback) => Pick<AnsweredQuery, '_results'>

/** Sends several statements in one string; `carried` gets what was carried out, also where one behind it fails. */
export function queryNoting(client: PoolClient, text: string, carried: CarriedOut): Promise<Results> {
  // pg keeps what was carried out, also where a statement behind it fails.
  const { Query } = client.constructor as unknown as { readonly Query: QueryClass }
  return new Promise((resolve, reject) => {
    const query = new Query(text, undefined, (error, results) => {
      carried.take(query._results)
      if (error === null) resolve(results)
      else whenAnswered(client, error, reject)
    })
    client.query(query as never)
  })
}
