import type { SqlEntityManager } from '@mikro-orm/sql'
import { notFound } from '../api-error.ts'
import type { RouteContext } from '../context.ts'
import { Article } from '../entities/article.ts'
import { slugOf } from './path.ts'

/** The article of the path, as `em` sees it: the reader what is committed, the writer what this request did as well. */
export async function findArticle(ctx: RouteContext, em: SqlEntityManager): Promise<Article> {
  const article = await em.findOne(Article, { slug: slugOf(ctx) }, { populate: ['author', 'tags'] })
  if (!article) throw notFound('article')
  return article
}

/** Its id alone. */
export async function findArticleId(ctx: RouteContext): Promise<number> {
  const article = await ctx.dbSession.reader.findOne(Article, { slug: slugOf(ctx) }, { fields: ['id'] })
  if (!article) throw notFound('article')
  return article.id
}
