import type { PoolClient, QueryResult } from 'pg'
import { oncePerClass } from '../once-per-class.ts'
import type { AnsweredQuery, CarriedOut } from './carried-out.ts'
import type { Results } from './send-query.ts'
import { whenAnswered } from './server-errors.ts'

type Callback = (error: Error | null, results: QueryResult | QueryResult[]) => void
type QueryClass = new (text: string, values: undefined, callback: Callback) => AnsweredQuery

/** Sends several statements in one string; `carried` gets what was carried out, also where one behind it fails. */
export function queryNoting(client: PoolClient, text: string, carried: CarriedOut): Promise<Results> {
  const { Query } = client.constructor as unknown as { readonly Query: QueryClass }
  const NotingQuery = notingQueryClass(Query)
  return new Promise((resolve, reject) => {
    const query = new NotingQuery(text, undefined, (error, results) =>
      error === null ? resolve(results) : whenAnswered(client, error, reject),
    )
    query.carried = carried
    client.query(query as never)
  })
}

const notingQueryClass = oncePerClass(makeNotingQueryClass)

function makeNotingQueryClass(Query: QueryClass) {
  return class NotingQuery extends Query {
    carried: CarriedOut | undefined

    override handleCommandComplete(message: unknown, connection: unknown): void {
      super.handleCommandComplete(message, connection)
      this.carried?.results.push(this._result)
    }
  }
}
