import Router from '@koa/router'
import { forbidden, notFound } from '../api-error.ts'
import type { AppContext, AppState, RouteContext } from '../context.ts'
import { Article } from '../entities/article.ts'
import { User } from '../entities/user.ts'
import { articleChanges, newArticle, paging } from '../input/article-input.ts'
import { defined } from '../input/defined.ts'
import { check, parse } from '../input/parse.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { articleJson, articleSummaryJson } from '../output/article-json.ts'
import { newSlug } from '../slug.ts'
import { slugOf } from './path.ts'

export function articleRoutes() {
  const router = new Router<AppState, AppContext>()

  router.get('/articles', async (ctx) => {
    const { limit, offset } = check(paging, { ...ctx.query }, 'query')
    const [articles, articlesCount] = await ctx.dbSession.reader.findAndCount(
      Article,
      {},
      { exclude: ['body'], populate: ['author', 'tags'], orderBy: { createdAt: 'desc', id: 'desc' }, limit, offset },
    )
    ctx.body = { articles: articles.map((article) => articleSummaryJson(article, article.author)), articlesCount }
  })

  // No flush and no commit: what was created is sent and committed after the route, before the response leaves.
  router.post('/articles', async (ctx) => {
    const user = signedInUser(ctx)
    const { tagList, ...content } = parse(newArticle, ctx.request.body, 'article')
    const { writer } = ctx.dbSession
    const article = writer.create(Article, {
      ...content,
      slug: newSlug(content.title),
      author: writer.getReference(User, user.id),
      tags: tagList.map((name, position) => ({ name, position })),
    })
    // Nobody is told of an article that was rolled back.
    ctx.txn.addAfterCommitHook((committed) => {
      if (committed) ctx.app.emit('published', article.slug)
    })
    ctx.status = 201
    ctx.body = { article: articleJson(article, user) }
  })

  router.get('/articles/:slug', async (ctx) => {
    const article = await ctx.dbSession.reader.findOne(Article, { slug: slugOf(ctx) }, { populate: ['author', 'tags'] })
    if (!article) throw notFound('article')
    ctx.body = { article: articleJson(article, article.author) }
  })

  router.put('/articles/:slug', async (ctx) => {
    signedInUser(ctx)
    const changes = parse(articleChanges, ctx.request.body, 'article')
    const article = await ownArticle(ctx)
    const slug = changes.title === undefined || changes.title === article.title ? undefined : newSlug(changes.title)
    ctx.dbSession.writer.assign(article, defined({ ...changes, slug, updatedAt: new Date() }))
    ctx.body = { article: articleJson(article, article.author) }
  })

  router.delete('/articles/:slug', async (ctx) => {
    signedInUser(ctx)
    ctx.dbSession.writer.remove(await ownArticle(ctx))
    ctx.status = 204
  })

  return router.routes()
}

/** The article of the path, in the writer's session where changes to it are kept. It must be the user's own. */
async function ownArticle(ctx: RouteContext): Promise<Article> {
  const article = await ctx.dbSession.writer.findOne(Article, { slug: slugOf(ctx) }, { populate: ['author', 'tags'] })
  if (!article) throw notFound('article')
  if (article.author.id !== signedInUser(ctx).id) throw forbidden('article')
  return article
}
