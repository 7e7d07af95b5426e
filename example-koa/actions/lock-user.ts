import { SqlitePlatform, type SqlEntityManager } from '@mikro-orm/sql'
import type { User } from '../entities/user.ts'

/**
 * From here to the commit, what this user does to favourites and follows waits, and nobody else's does. So the answer to
 * a request still holds when it is committed, even if the same user sends the opposite at the same moment.
 *
 * SQLite has one writer at a time anyway. On PostgreSQL it is the weaker of the locks for writing, which MikroORM has no
 * name for: rows that refer to the user can be written all the while. With FOR UPDATE two users who follow each other at
 * the same moment would wait for each other.
 */
export async function lockUser(writer: SqlEntityManager, { id }: Pick<User, 'id'>): Promise<void> {
  if (writer.getPlatform() instanceof SqlitePlatform) return
  await writer.execute('select 1 from users where id = ? for no key update', [id])
}
