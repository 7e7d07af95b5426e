import Router from '@koa/router'
import type { AppContext, AppState } from '../context.ts'

// What MikroORM has no short word for is said in SQL, on the session as well.
const MOST_USED_FIRST = 'select name from article_tags group by name order by count(*) desc, name'

export function tagRoutes() {
  const router = new Router<AppState, AppContext>()

  router.get('/tags', async (ctx) => {
    const tags = await ctx.dbSession.reader.execute<{ name: string }[]>(MOST_USED_FIRST)
    ctx.body = { tags: tags.map(({ name }) => name) }
  })

  return router.routes()
}
