import type { Connection } from '@mikro-orm/core'
import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { Kysely } from 'kysely'
import { OutsideTransactionError, ReadOnlySessionError } from './errors.ts'
import { managedSession } from './operations.ts'
import { hostOf, rawContextOf } from './session-kysely.ts'

/** Where the transaction context stands among the arguments of a connection's methods. */
const CONTEXT_ARGUMENT = { execute: 3, stream: 2, callRoutine: 2 } as const

/** Methods that go past the session, unless they get the context in their options, and what to do instead. */
const GOES_PAST: Readonly<Record<string, { readonly options?: number; readonly instead: string }>> = {
  begin: { options: 0, instead: 'Use em.transactional(), which nests by savepoint.' },
  transactional: { options: 1, instead: 'Use em.transactional(), which nests by savepoint.' },
  executeDump: {
    instead:
      'Send its statements by em.execute(), on SQLite one at a time, or load it where no unit of work is under way, by ' +
      'orm.driver.getConnection().executeDump().',
  },
  getNativeClient: {
    instead:
      'Use em.execute() or em.getKysely(). For what is to be no part of the transaction, ask ' +
      "orm.driver.getConnection('write') for it.",
  },
}

/**
 * What `em.getConnection()` answers on a session: the ORM's connection. A statement without a transaction context runs
 * in the session's, where it would otherwise take another connection.
 */
export function connectionOf(em: SqlEntityManager, connection: Connection): Connection {
  const context = managedSession(em) === undefined ? undefined : rawContextOf(em.getTransactionContext())
  return context === undefined ? connection : inOneConnection(connection, context)
}

function inOneConnection(connection: Connection, context: Kysely<any>): AbstractSqlConnection {
  const { role = '', onlyReads = false } = hostOf(context) ?? {}
  return new Proxy(connection as AbstractSqlConnection, {
    get(target, name) {
      if (name === 'getClient') return () => context
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      const past = GOES_PAST[String(name)]
      if (past !== undefined) {
        const what = `${String(name)}() of its connection`
        const refusal = (): Error =>
          onlyReads
            ? new ReadOnlySessionError(role, `${what} goes past its session and may write`)
            : new OutsideTransactionError(role, what, past.instead)
        return keptInside(value.bind(target), past.options, refusal)
      }
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

/** Refuses a call without the context. */
function keptInside(method: (...args: any[]) => unknown, options: number | undefined, refusal: () => Error) {
  return async (...args: any[]): Promise<unknown> => {
    if (options !== undefined && args[options]?.ctx !== undefined) return await method(...args)
    throw refusal()
  }
}
