import { codeOf, PostgresAdmin, urlOf } from './postgres-admin.ts'

/** Somebody is connected to the database. */
export const IN_USE = '55006'

/** Drops a database, and ends the connections to it. */
export async function dropWithForce(admin: PostgresAdmin, url: string, name: string): Promise<void> {
  await forgetPrepared(admin, url, name)
  await admin.send('drop database if exists %I with (force)', name)
}

/** Drops a database unless somebody is still connected after the 5 seconds that the server waits. */
export async function dropUnused(admin: PostgresAdmin, url: string, name: string): Promise<void> {
  await forgetPrepared(admin, url, name)
  try {
    await admin.send('drop database if exists %I', name)
  } catch (error) {
    if (codeOf(error) !== IN_USE) throw error
  }
}

/** What a test left prepared would keep its database for ever; from within it alone it can be rolled back. */
async function forgetPrepared(admin: PostgresAdmin, url: string, name: string): Promise<void> {
  const prepared = await admin.rows('select gid from pg_catalog.pg_prepared_xacts where database = ?', name)
  if (prepared.length === 0) return
  const inside = await PostgresAdmin.inside(urlOf(url, name))
  try {
    for (const { gid } of prepared) await inside.send('rollback prepared %L', String(gid))
  } finally {
    await inside.close()
  }
}
