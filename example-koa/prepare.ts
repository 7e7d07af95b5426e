import { setTimeout as wait } from 'node:timers/promises'
import { SqlitePlatform, type SqlMikroORM } from '@mikro-orm/sql'

const ATTEMPTS = 5
const PAUSE_MS = 200

/**
 * Makes the database ready for its role, whether it is new or not.
 *
 * Several processes may start at once on an empty database; who lost the race finds the tables when it looks again.
 */
export async function prepare(orm: SqlMikroORM): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (orm.driver.getPlatform() instanceof SqlitePlatform) await useWriteAheadLog(orm)
      // Creates what is missing and drops nothing: other roles may keep tables in the same database.
      return await orm.schema.update({ safe: true, dropTables: false })
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      await wait(PAUSE_MS * attempt)
    }
  }
}

/** With it readers and a writer do not wait for each other. The file remembers it. */
async function useWriteAheadLog(orm: SqlMikroORM): Promise<void> {
  await orm.driver.getConnection().execute('pragma journal_mode = wal')
}
