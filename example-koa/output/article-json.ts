import type { Article, ArticleSummary } from '../entities/article.ts'
import type { User } from '../entities/user.ts'
import { profileJson } from './user-json.ts'

/** An article in a list: without its body. */
export function articleSummaryJson(article: ArticleSummary, author: User) {
  return {
    slug: article.slug,
    title: article.title,
    description: article.description,
    tagList: article.tags.map((tag) => tag.name),
    createdAt: article.createdAt,
    updatedAt: article.updatedAt,
    favorited: false,
    favoritesCount: 0,
    author: profileJson(author),
  }
}

export function articleJson(article: Article, author: User) {
  return { ...articleSummaryJson(article, author), body: article.body }
}
