import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Article } from '../entities/article.ts'
import { Favorite } from '../entities/favorite.ts'
import type { User } from '../entities/user.ts'

/** The ids of those of the articles that the viewer likes: one statement for all of them, none without a viewer. */
export async function favoritesOf(
  em: SqlEntityManager,
  viewer: User | undefined,
  articles: readonly Pick<Article, 'id'>[],
): Promise<ReadonlySet<number>> {
  if (!viewer || articles.length === 0) return new Set()
  const ids = articles.map(({ id }) => id)
  const favorites = await em.find(Favorite, { user: viewer.id, article: { $in: ids } })
  return new Set(favorites.map(({ article }) => article.id))
}
