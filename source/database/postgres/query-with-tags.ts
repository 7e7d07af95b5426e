import type { PoolClient, QueryResult } from 'pg'
import { oncePerClass } from '../once-per-class.ts'
import { whenAnswered } from './server-errors.ts'

/** The part of pg's own queries that is overridden here; pg-cursor relies on the same: https://node-postgres.com/apis/client */
interface AnsweredQuery {
  handleCommandComplete(message: CommandComplete, connection: unknown): void
}
interface CommandComplete {
  readonly text: string
}
type Callback = (error: Error | null, results: QueryResult | QueryResult[]) => void
type QueryClass = new (text: string, values: undefined, callback: Callback) => AnsweredQuery

/**
 * Sends several statements in one string. `tags` gets the command tag of each that was carried out, also where one behind it
 * fails: what was committed stays so.
 */
export function queryWithTags(client: PoolClient, text: string, tags: string[]): Promise<QueryResult | QueryResult[]> {
  const { Query } = client.constructor as unknown as { readonly Query: QueryClass }
  const TaggedQuery = taggedQueryClass(Query)
  return new Promise((resolve, reject) => {
    const query = new TaggedQuery(text, undefined, (error, results) =>
      error === null ? resolve(results) : whenAnswered(client, error, reject),
    )
    query.tags = tags
    client.query(query as never)
  })
}

const taggedQueryClass = oncePerClass(makeTaggedQueryClass)

function makeTaggedQueryClass(Query: QueryClass) {
  return class TaggedQuery extends Query {
    tags: string[] = []

    override handleCommandComplete(message: CommandComplete, connection: unknown): void {
      this.tags.push(message.text)
      super.handleCommandComplete(message, connection)
    }
  }
}
