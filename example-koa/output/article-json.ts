import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Article, ArticleSummary } from '../entities/article.ts'
import type { User } from '../entities/user.ts'
import { favoritesOf } from './favorites-of.ts'
import { followedBy } from './followed-by.ts'
import { profileJson } from './user-json.ts'

/** Articles in a list, without their bodies, as the viewer sees them. Two statements, however many there are. */
export async function articlesJson(
  em: SqlEntityManager,
  viewer: User | undefined,
  articles: readonly ArticleSummary[],
) {
  const favorites = await favoritesOf(em, viewer, articles)
  const authors = articles.map(({ author }) => author)
  const followed = await followedBy(em, viewer, authors)
  return articles.map((article) => ({
    ...contentJson(article),
    favorited: favorites.has(article.id),
    favoritesCount: article.favoritesCount,
    author: profileJson(article.author, followed.has(article.author.id)),
  }))
}

/** An article as the viewer sees it, with its body. */
export async function articleJson(em: SqlEntityManager, viewer: User | undefined, article: Article) {
  const [summary] = await articlesJson(em, viewer, [article])
  return { ...summary, body: article.body }
}

/** An article that was not sent to the database yet, as its author sees it: nobody can like it. */
export async function newArticleJson(em: SqlEntityManager, author: User, article: Article) {
  const followed = await followedBy(em, author, [author])
  return {
    ...contentJson(article),
    body: article.body,
    favorited: false,
    favoritesCount: 0,
    author: profileJson(author, followed.has(author.id)),
  }
}

function contentJson({ slug, title, description, tags, createdAt, updatedAt }: ArticleSummary) {
  return { slug, title, description, tagList: tags.map(({ name }) => name), createdAt, updatedAt }
}
