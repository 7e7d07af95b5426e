import type { FilterQuery } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { Article, type ArticleSummary } from '../entities/article.ts'

export interface Page {
  readonly limit: number
  readonly offset: number
}

/** A page of the articles, newest first and without their bodies, and how many there are altogether. */
export async function listArticles(
  em: SqlEntityManager,
  where: FilterQuery<Article>,
  { limit, offset }: Page,
): Promise<[ArticleSummary[], number]> {
  return await em.findAndCount(Article, where, {
    exclude: ['body'],
    populate: ['author', 'tags'],
    orderBy: { createdAt: 'desc', id: 'desc' },
    limit,
    offset,
  })
}
