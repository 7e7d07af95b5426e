/** The application that the examples test: articles, which one role writes and another one reads. */
import { once } from 'node:events'
import Router from '@koa/router'
import { defineEntity, p } from '@mikro-orm/core'
import Koa from 'koa'
import { dbSessions, EngineRegistry } from 'koa-sqlassist'

export const Article = defineEntity({
  name: 'Article',
  properties: { id: p.integer().primary(), title: p.string().unique() },
})

/** What was published, by the hooks of commits. */
const announced = []
const router = new Router()

router.get('/articles', async (ctx) => {
  const articles = await ctx.dbSession.reader.find(Article, {}, { orderBy: { title: 'asc' } })
  ctx.body = articles.map(({ title }) => title)
})

router.post('/articles/:title', (ctx) => {
  ctx.dbSession.writer.create(Article, { title: ctx.params.title })
  ctx.txn.addAfterCommitHook((committed, title) => committed && announced.push(title), ctx.params.title)
  ctx.status = 201
})

/** On PostgreSQL, or in a file of SQLite. */
export async function openOrm(url) {
  const isPostgres = url.startsWith('postgres')
  const { MikroORM } = await import(isPostgres ? '@mikro-orm/postgresql' : '@mikro-orm/sqlite')
  return await MikroORM.init({ entities: [Article], ...(isPostgres ? { clientUrl: url } : { dbName: url }) })
}

export async function migrate(url) {
  const orm = await openOrm(url)
  await orm.schema.update()
  // so that on SQLite nobody who reads keeps others from writing
  if (!url.startsWith('postgres')) await orm.em.getConnection().execute('pragma journal_mode = wal')
  await orm.close()
}

/** Serves the application on any port that is free. */
export async function openShop(url) {
  const registry = new EngineRegistry({
    writer: await openOrm(url),
    reader: { orm: await openOrm(url), readOnly: true },
  })
  const app = new Koa().use(dbSessions(registry)).use(router.routes())
  app.silent = true
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${server.address().port}`
  return {
    registry,
    announced,
    request: (method, path) => fetch(origin + path, { method }),
    titles: async () => await (await fetch(`${origin}/articles`)).json(),
    async close() {
      server.close()
      server.closeAllConnections()
      await registry.close()
    },
  }
}
