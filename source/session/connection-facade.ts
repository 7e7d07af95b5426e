import type { Connection } from '@mikro-orm/core'
import type { AbstractSqlConnection } from '@mikro-orm/sql'
import type { Kysely } from 'kysely'

/** Where the transaction context stands among the arguments of a connection's methods. */
const CONTEXT_ARGUMENT = { execute: 3, stream: 2 } as const

/**
 * What `em.getConnection()` answers on a session: the ORM's connection. A statement without a transaction context runs
 * in the session's, where it would otherwise take another connection.
 */
export function inOneConnection(connection: Connection, context: Kysely<any>): AbstractSqlConnection {
  return new Proxy(connection as AbstractSqlConnection, {
    get(target, name) {
      if (name === 'getClient') return () => context
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      const position = CONTEXT_ARGUMENT[name as keyof typeof CONTEXT_ARGUMENT]
      if (position === undefined) return value.bind(target)
      return (...args: unknown[]) => {
        while (args.length <= position) args.push(undefined)
        args[position] ??= context
        return Reflect.apply(value, target, args)
      }
    },
  })
}
