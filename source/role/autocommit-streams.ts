import { chunksOf } from '../database/chunks-of.ts'
import type { Method } from './override.ts'
import type { AutocommitSession } from './trace-autocommit.ts'

/**
 * Streams of a role that commits every statement: MikroORM opens them, and the session ends them. With one connection the
 * rows are read at once, since an open cursor would block every other statement.
 */
export function autocommitStream(
  session: () => AutocommitSession | undefined,
  hasOneConnection: boolean,
): (original: Method) => Method {
  return (original) =>
    function (...args) {
      const results = hasOneConnection ? inOneGo(this, args) : (original.apply(this, args) as AsyncIterable<unknown>)
      return session()?.track(results) ?? results
    }
}

async function* inOneGo(executor: any, [query, chunkSize, options]: any[]): AsyncIterable<unknown> {
  const { rows } = (await executor.executeQuery(query, options)) as { readonly rows: unknown[] }
  for (const chunk of chunksOf(rows, chunkSize)) yield { rows: chunk }
}
