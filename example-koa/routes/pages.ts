import { readFileSync } from 'node:fs'
import Router from '@koa/router'
import { getRange, markChanged } from 'koa-sqlassist'
import type { AppContext, AppState } from '../context.ts'
import { AuditEntry } from '../entities/audit-entry.ts'
import { Comment } from '../entities/comment.ts'
import { cookieUser } from '../middleware/cookie-user.ts'
import { articlePage } from '../pages/article-page.ts'
import { auditPage } from '../pages/audit-page.ts'
import { frontPage } from '../pages/front-page.ts'
import type { Security } from '../security/security.ts'
import { editorRoutes } from './editor.ts'
import { findArticle } from './find-article.ts'
import { listArticles } from './list-articles.ts'

const STYLE = readFileSync(new URL('../pages/style.css', import.meta.url), 'utf8')
const SHOWN = 20

/** The pages for a browser. */
export function pageRouter(security: Security): Router<AppState, AppContext> {
  const router = new Router<AppState, AppContext>()

  // Reads only, so on the reader: no transaction is begun for it, and none has to end.
  router.get('/', cookieUser(security.tokens), async (ctx) => {
    const [articles, articlesCount] = await listArticles(ctx.dbSession.reader, {}, { limit: SHOWN, offset: 0 })
    ctx.body = frontPage({ articles, articlesCount, username: ctx.state.user?.username })
  })

  router.get('/article/:slug', async (ctx) => {
    const { reader, writer } = ctx.dbSession
    const article = await findArticle(ctx, reader)
    const comments = await reader.find(Comment, { article }, { populate: ['author'], orderBy: { id: 'asc' } })

    // Raw SQL, so that two readers at once are both counted. That it wrote, the session cannot know from the text:
    // without markChanged it would count as one that only read, and be rolled back.
    await writer.execute('update articles set views = views + 1 where id = ?', [article.id])
    markChanged(writer)

    ctx.body = articlePage(article, comments)
  })

  router.get('/audit', async (ctx) => {
    const latest = { orderBy: 'id', direction: 'desc', limit: SHOWN } as const
    ctx.body = auditPage(await getRange(ctx.dbSession.logger, AuditEntry, latest))
  })

  // Touches no role: no session is opened, no connection taken.
  router.get('/style.css', (ctx) => {
    ctx.type = 'css'
    ctx.body = STYLE
  })

  router.use(editorRoutes(security))
  return router
}
