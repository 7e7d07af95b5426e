import { LockMode } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { User } from '../entities/user.ts'

/**
 * From here to the commit, what this user does to favourites and follows waits, and nobody else's does. So the answer to
 * a request still holds when it is committed, even if the same user sends the opposite at the same moment.
 *
 * PostgreSQL locks the row; SQLite has one writer at a time anyway.
 */
export async function lockUser(writer: SqlEntityManager, { id }: Pick<User, 'id'>): Promise<void> {
  await writer.findOneOrFail(User, { id }, { fields: ['id'], lockMode: LockMode.PESSIMISTIC_WRITE })
}
