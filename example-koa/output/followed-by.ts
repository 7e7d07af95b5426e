import type { SqlEntityManager } from '@mikro-orm/sql'
import { Follow } from '../entities/follow.ts'
import type { User } from '../entities/user.ts'

/** The ids of those of the users whom the viewer follows: one statement for all of them, none without a viewer. */
export async function followedBy(
  em: SqlEntityManager,
  viewer: User | undefined,
  users: readonly User[],
): Promise<ReadonlySet<string>> {
  if (!viewer || users.length === 0) return new Set()
  const ids = [...new Set(users.map(({ id }) => id))]
  const follows = await em.find(Follow, { follower: viewer.id, followed: { $in: ids } })
  return new Set(follows.map(({ followed }) => followed.id))
}
