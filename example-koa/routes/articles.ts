import Router from '@koa/router'
import { LockMode } from '@mikro-orm/core'
import { publish } from '../actions/publish.ts'
import { retag } from '../actions/retag.ts'
import { forbidden, notFound } from '../api-error.ts'
import type { AppContext, AppState, RouteContext } from '../context.ts'
import { Article } from '../entities/article.ts'
import { articleChanges, newArticle } from '../input/article-input.ts'
import { defined } from '../input/defined.ts'
import { parse } from '../input/parse.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { articleJson, newArticleJson } from '../output/article-json.ts'
import { newSlug } from '../slug.ts'
import { findArticle } from './find-article.ts'
import { slugOf } from './path.ts'

export function articleRoutes() {
  const router = new Router<AppState, AppContext>()

  router.post('/articles', async (ctx) => {
    const user = signedInUser(ctx)
    const article = publish(ctx, user, parse(newArticle, ctx.request.body, 'article'))
    ctx.status = 201
    ctx.body = { article: await newArticleJson(ctx.dbSession.reader, user, article) }
  })

  router.get('/articles/:slug', async (ctx) => {
    const { reader } = ctx.dbSession
    ctx.body = { article: await articleJson(reader, ctx.state.user, await findArticle(ctx, reader)) }
  })

  router.put('/articles/:slug', async (ctx) => {
    const user = signedInUser(ctx)
    const { writer } = ctx.dbSession
    const article = await ownArticle(ctx)
    const { tagList, ...changes } = parse(articleChanges, ctx.request.body, 'article')
    const slug = changes.title === undefined || changes.title === article.title ? undefined : newSlug(changes.title)
    await writer.populate(article, ['author', 'tags'])
    writer.assign(article, defined({ ...changes, slug, updatedAt: new Date() }))
    if (tagList) retag(writer, article, tagList)
    ctx.body = { article: await articleJson(writer, user, article) }
  })

  // Its tags, comments and favourites go with it; the database sees to that, whoever else adds one at this moment.
  router.delete('/articles/:slug', async (ctx) => {
    signedInUser(ctx)
    ctx.dbSession.writer.remove(await ownArticle(ctx))
    ctx.status = 204
  })

  return router.routes()
}

/**
 * The article of the path, in the writer's session where changes to it are kept. It must be the user's own, and is locked:
 * of two who change its tags at the same moment, the second sees what the first made of them.
 */
async function ownArticle(ctx: RouteContext): Promise<Article> {
  const { writer } = ctx.dbSession
  const article = await writer.findOne(Article, { slug: slugOf(ctx) }, { lockMode: LockMode.PESSIMISTIC_WRITE })
  if (!article) throw notFound('article')
  if (article.author.id !== signedInUser(ctx).id) throw forbidden('article')
  return article
}
