import type { Connection } from '@mikro-orm/core'

/**
 * Closes connections by `close`, and lets them keep their options.
 *
 * MikroORM forgets a connection's options when it closes. It would open a replica with the primary's:
 * https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/connections/Connection.ts
 */
export async function keepingOptions(connections: readonly Connection[], close: () => Promise<void>): Promise<void> {
  const all = connections.map((connection) => (connection as unknown as { readonly options: object }).options)
  const kept = all.map((options) => ({ ...options }))
  const restore = (): void => all.forEach((options, index) => void Object.assign(options, kept[index]))
  const closing = close()
  // Somebody may open one meanwhile.
  restore()
  await closing.finally(restore)
}
