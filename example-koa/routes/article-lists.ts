import Router from '@koa/router'
import type { FilterQuery } from '@mikro-orm/core'
import type { z } from 'zod'
import type { AppContext, AppState, RouteContext } from '../context.ts'
import type { Article } from '../entities/article.ts'
import { articleQuery, paging } from '../input/article-input.ts'
import { check } from '../input/parse.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { articlesJson } from '../output/article-json.ts'
import { listArticles, type Page } from './list-articles.ts'

export function articleListRoutes() {
  const router = new Router<AppState, AppContext>()

  router.get('/articles', async (ctx) => {
    const { limit, offset, ...filters } = check(articleQuery, { ...ctx.query }, 'query')
    const { articles, articlesCount } = await answer(ctx, condition(filters), { limit, offset })
    ctx.body = { articles: articles.map((article) => withTagFirst(article, filters.tag)), articlesCount }
  })

  router.get('/articles/feed', async (ctx) => {
    const { id } = signedInUser(ctx)
    const page = check(paging, { ...ctx.query }, 'query')
    ctx.body = await answer(ctx, { author: { followers: { $some: { follower: id } } } }, page)
  })

  return router.routes()
}

/** Everything on the reader; the number of statements does not depend on how much is found. */
async function answer(ctx: RouteContext, where: FilterQuery<Article>, page: Page) {
  const { reader } = ctx.dbSession
  const [articles, articlesCount] = await listArticles(reader, where, page)
  return { articles: await articlesJson(reader, ctx.state.user, articles), articlesCount }
}

/** The tag that was asked for comes first, as the public Postman collection of Conduit expects. */
function withTagFirst<T extends { readonly tagList: readonly string[] }>(article: T, tag: string | undefined): T {
  if (tag === undefined) return article
  return { ...article, tagList: [tag, ...article.tagList.filter((name) => name !== tag)] }
}

/** `$some` asks whether there is such a tag, and leaves the article with all of its tags. */
function condition({ tag, author, favorited }: Omit<z.output<typeof articleQuery>, keyof Page>): FilterQuery<Article> {
  return {
    ...(tag !== undefined && { tags: { $some: { name: tag } } }),
    ...(author !== undefined && { author: { username: author } }),
    ...(favorited !== undefined && { favorites: { $some: { user: { username: favorited } } } }),
  }
}
