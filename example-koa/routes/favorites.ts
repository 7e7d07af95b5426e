import Router from '@koa/router'
import { lockUser } from '../actions/lock-user.ts'
import type { AppContext, AppState } from '../context.ts'
import { Favorite } from '../entities/favorite.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { articleJson } from '../output/article-json.ts'
import { findArticle, findArticleId } from './find-article.ts'

export function favoriteRoutes() {
  const router = new Router<AppState, AppContext>({ prefix: '/articles/:slug/favorite' })

  router.post('/', async (ctx) => {
    const user = signedInUser(ctx)
    const article = await findArticleId(ctx)
    const { writer } = ctx.dbSession
    await lockUser(writer, user)
    // No look whether it is there already: the primary key knows, also of what others are doing at this moment.
    await writer.upsert(Favorite, { article, user: user.id })
    // Read by the writer, in the same transaction: the reader would not see it yet.
    ctx.body = { article: await articleJson(writer, user, await findArticle(ctx, writer)) }
  })

  router.delete('/', async (ctx) => {
    const user = signedInUser(ctx)
    const article = await findArticleId(ctx)
    const { writer } = ctx.dbSession
    await lockUser(writer, user)
    await writer.nativeDelete(Favorite, { article, user: user.id })
    ctx.body = { article: await articleJson(writer, user, await findArticle(ctx, writer)) }
  })

  return router.routes()
}
