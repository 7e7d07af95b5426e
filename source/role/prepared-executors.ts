import type { Connection } from '@mikro-orm/core'
import { override, type Method } from './override.ts'

/** Calls `prepare` once for each executor of the connection's clients. An ORM that reconnects makes a new client. */
export function preparedExecutors(connection: Connection, prepare: (executor: object) => void): (() => void)[] {
  const known = new WeakSet<object>()
  const getPrepared = (original: Method): Method =>
    function () {
      const client = original.call(this)
      const executor: object = client.getExecutor()
      if (!known.has(executor)) prepare(executor)
      known.add(executor)
      return client
    }
  return [override(connection, 'getClient', getPrepared)]
}

/** MikroORM's own statements do not ask for the client, which has to be prepared before they use it. */
export const prepareFirst = (original: Method): Method =>
  function (...args) {
    this.getClient()
    return original.apply(this, args)
  }
