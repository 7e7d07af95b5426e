/** Releases the locks of the connection, which no ROLLBACK does. */
export const UNLOCK = 'select pg_advisory_unlock_all()'

/**
 * Removes what outlives a transaction, but for what SQL has prepared. DISCARD ALL would also drop the plans of functions, and
 * what pg has prepared, which pg would go on to use.
 */
export const CLEAN =
  'set session authorization default;reset role;reset all;close all;unlisten *;discard temp;discard sequences;' + UNLOCK

/** Names what SQL has prepared, which no ROLLBACK undoes. */
export const PREPARED = 'select name from pg_prepared_statements where from_sql'

/** Removes, in front of a ROLLBACK, what that does not undo, but for what SQL has prepared. */
export const BEFORE_ROLLBACK = `${UNLOCK};${PREPARED};`

/** Sends one string. */
type Send = (sql: string) => Promise<unknown>

/** Drops what SQL has prepared; `rows` are those of {@link PREPARED}. */
export async function deallocate(rows: readonly unknown[] | undefined, send: Send): Promise<void> {
  const names = (rows as readonly { readonly name: string }[] | undefined)?.map(({ name }) => name) ?? []
  const drops = names.map((name) => `deallocate "${name.replaceAll('"', '""')}"`)
  if (drops.length > 0) await send(drops.join(';'))
}
