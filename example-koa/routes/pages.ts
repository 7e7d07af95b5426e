import { readFileSync } from 'node:fs'
import Router from '@koa/router'
import { markChanged } from 'koa-sqlassist'
import { notFound } from '../api-error.ts'
import type { AppContext, AppState } from '../context.ts'
import { Article } from '../entities/article.ts'
import { Comment } from '../entities/comment.ts'
import { articlePage } from '../pages/article-page.ts'
import { frontPage } from '../pages/front-page.ts'
import { slugOf } from './path.ts'

const STYLE = readFileSync(new URL('../pages/style.css', import.meta.url), 'utf8')
const SHOWN = 20

/** The pages for a browser. */
export function pageRouter(): Router<AppState, AppContext> {
  const router = new Router<AppState, AppContext>()

  // Reads only, so on the reader: no transaction is begun for it, and none has to end.
  router.get('/', async (ctx) => {
    const articles = await ctx.dbSession.reader.find(
      Article,
      {},
      { exclude: ['body'], populate: ['author', 'tags'], orderBy: { createdAt: 'desc', id: 'desc' }, limit: SHOWN },
    )
    ctx.body = frontPage(articles)
  })

  router.get('/article/:slug', async (ctx) => {
    const { reader, writer } = ctx.dbSession
    const article = await reader.findOne(Article, { slug: slugOf(ctx) }, { populate: ['author', 'tags'] })
    if (!article) throw notFound('article')
    const comments = await reader.find(Comment, { article }, { populate: ['author'], orderBy: { id: 'asc' } })

    // Raw SQL, so that two readers at once are both counted. That it wrote, the session cannot know from the text:
    // without markChanged it would count as one that only read, and be rolled back.
    await writer.execute('update articles set views = views + 1 where id = ?', [article.id])
    markChanged(writer)

    ctx.body = articlePage(article, comments)
  })

  // Touches no role: no session is opened, no connection taken.
  router.get('/style.css', (ctx) => {
    ctx.type = 'css'
    ctx.body = STYLE
  })

  return router
}
