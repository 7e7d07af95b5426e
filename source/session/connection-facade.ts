import type { Connection } from '@mikro-orm/core'
import type { AbstractSqlConnection } from '@mikro-orm/sql'
import type { Kysely } from 'kysely'
import { ReadOnlySessionError } from './errors.ts'
import { hostOf } from './session-kysely.ts'

/** Where the transaction context stands among the arguments of a connection's methods. */
const CONTEXT_ARGUMENT = { execute: 3, stream: 2, callRoutine: 2 } as const

/** Where the options with it stand among the arguments of others. Those without any go past the session. */
const OPTIONS_ARGUMENT: Readonly<Record<string, number>> = {
  begin: 0,
  transactional: 1,
  executeDump: Infinity,
  getNativeClient: Infinity,
}

/**
 * What `em.getConnection()` answers on a session: the ORM's connection. A statement without a transaction context runs
 * in the session's, where it would otherwise take another connection.
 */
export function inOneConnection(connection: Connection, context: Kysely<any>): AbstractSqlConnection {
  const { role = '', onlyReads = false } = hostOf(context) ?? {}
  return new Proxy(connection as AbstractSqlConnection, {
    get(target, name) {
      if (name === 'getClient') return () => context
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      const options = onlyReads ? OPTIONS_ARGUMENT[String(name)] : undefined
      if (options !== undefined) return keptInside(role, String(name), value.bind(target), options)
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

/** Refuses what would go past a session that only reads: nothing would keep it to that. */
function keptInside(role: string, name: string, method: (...args: any[]) => unknown, options: number) {
  return async (...args: any[]): Promise<unknown> => {
    if (args[options]?.ctx !== undefined) return await method(...args)
    throw new ReadOnlySessionError(role, `${name}() of its connection goes past its session and may write`)
  }
}
