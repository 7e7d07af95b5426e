import type { Connection } from '@mikro-orm/core'
import { override } from './override.ts'
import { outsideOfScopes } from './unit-scope.ts'
import { ContextValue } from '../transaction/context-value.ts'

/** The connection that the running code opens. */
const current = new ContextValue<Connection>('connecting')

/** Whether the running code is what opens `connection`. */
export function isConnecting(connection: Connection): boolean {
  return current.get() === connection
}

/** Whether a connection was opened and not closed since. */
export function isConnected(connection: Connection): boolean {
  // https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/connections/Connection.ts
  return (connection as unknown as { readonly connected?: boolean }).connected !== false
}

/** Has the next statement open a connection. */
export function noteClosed(connection: Connection): void {
  ;(connection as unknown as { connected: boolean }).connected = false
}

/**
 * Lets a unit of work open `connection` by its first statement. What is sent for that, such as foreign_keys and ATTACH on
 * SQLite, is of no unit, and others wait for all of it. MikroORM calls the connection open when half of it is done:
 * https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/sql/src/AbstractSqlConnection.ts
 */
export function connectsOnce(connection: Connection): (() => void)[] {
  let opening: Promise<void> | undefined
  return [
    override(
      connection,
      'connect',
      (original) =>
        async function (...args) {
          const open = (): Promise<void> => original.apply(this, args)
          // To create the database MikroORM connects once more inside.
          if (isConnecting(connection)) return await open()
          const own = outsideOfScopes(() => current.run(connection, open))
          opening = own
          try {
            await own
          } finally {
            if (opening === own) opening = undefined
          }
        },
    ),
    override(
      connection,
      'ensureConnection',
      (original) =>
        function () {
          return opening === undefined || isConnecting(connection) ? original.call(this) : opening
        },
    ),
  ]
}
