/** What is done with each TypeScript block once it was imported, and what has to come of it. */
import assert from 'node:assert/strict'
import { channel } from 'node:diagnostics_channel'
import process from 'node:process'
import { after } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { dbSessions, EngineRegistry, NoTransactionError, TransientError, type Engines } from 'koa-sqlassist'
import Koa, { type Middleware } from 'koa'
import type * as prelude from './prelude.ts'
import { servers, urlOf } from './servers.ts'

type Prelude = typeof prelude
type Block = Record<string, any>
/** The block is imported by `load`, before which the exercise may prepare what it asks for. */
export type Exercise = (load: () => Promise<Block>, prelude: Prelude) => Promise<void>

/** Serves an application for as many requests as `work` makes. */
async function serving(app: Koa<any, any>, work: (url: string) => Promise<void>): Promise<void> {
  app.silent = true
  const server = app.listen(0)
  await work(await urlOf(server))
}

async function request(url: string, method = 'GET'): Promise<{ status: number; body: any }> {
  const response = await fetch(url, { method, headers: { connection: 'close' } })
  const text = await response.text()
  return { status: response.status, body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text }
}

/** The routes of the block in an application with sessions. */
function appOf(engines: Engines, routes: Middleware<any, any>): Koa<any, any> {
  return new Koa<any, any>().use(dbSessions(engines)).use(routes)
}

async function titles({ writerOrm, Article }: Prelude): Promise<string[]> {
  return (await writerOrm.em.fork().find(Article, {}, { orderBy: { id: 'asc' } })).map(({ title }) => title)
}

async function addArticle({ writerOrm, Article }: Prelude, title: string): Promise<void> {
  const em = writerOrm.em.fork()
  await em.persist(em.create(Article, { title })).flush()
}

/** The server may be there for longer than the tests. */
async function dropTemplates(template: string): Promise<void> {
  const { shopOrm } = await import('./postgres.ts')
  const connection = shopOrm.em.getConnection()
  const names = await connection.execute<{ datname: string }[]>(
    'select datname from pg_database where starts_with(datname, ?)',
    [template.replace(/template_\w+$/, '')],
  )
  for (const { datname } of names) await connection.execute(`drop database "${datname}" with (force)`)
  await shopOrm.close()
}

export const exercises: Readonly<Record<string, Exercise>> = {
  'README.md › A server': async (load) => {
    await load()
    const url = await urlOf(servers[0])
    assert.deepEqual(await request(url), { status: 200, body: [] })
    assert.deepEqual(await request(`${url}/?text=hello`, 'POST'), { status: 201, body: { id: 1, text: 'hello' } })
    assert.deepEqual((await request(url)).body, [{ id: 1, text: 'hello' }])
  },
  'README.md › The usual roles': async (load, prelude) => {
    const { app, loggerOrm, LogEntry } = prelude
    await load()
    await serving(app, async (url) => {
      assert.equal((await request(`${url}/articles/one`, 'POST')).status, 201)
      assert.equal((await request(`${url}/articles/one`, 'POST')).status, 500)
    })
    assert.deepEqual(await titles(prelude), ['one'])
    assert.equal(await loggerOrm.em.fork().count(LogEntry), 2)
  },
  'README.md › Jobs': async (load, prelude) => {
    assert.equal((await load())['id'], 1)
    assert.deepEqual(await titles(prelude), ['from a job'])
  },
  'docs/request-life.md › Veto and attempts': async (load, prelude) => {
    const { app, router, Article } = prelude
    let runs = 0
    router.post('/articles/:title', async (ctx) => {
      ctx.dbSession.writer.create(Article, { title: ctx.params['title'] ?? '' })
      await ctx.dbSession.writer.flush()
      if (++runs === 1) throw new TransientError('once more')
      ctx.status = ctx.query['status'] === undefined ? 201 : Number(ctx.query['status'])
    })
    await load()
    await serving(app, async (url) => {
      assert.equal((await request(`${url}/articles/one`, 'POST')).status, 201)
      assert.equal(runs, 2)
      assert.equal((await request(`${url}/articles/two?status=404`, 'POST')).status, 404)
    })
    assert.deepEqual(await titles(prelude), ['one'])
  },
  'docs/request-life.md › Savepoints and hooks': async (load, prelude) => {
    const { engines, router, mailed } = prelude
    await addArticle(prelude, 'Draft')
    await load()
    await serving(appOf(engines, router.routes()), async (url) => {
      const undone = await request(`${url}/articles/1/publish?undo`, 'POST')
      assert.equal(undone.body.title, 'Draft')
      assert.deepEqual(await titles(prelude), ['Draft'])
      const done = await request(`${url}/articles/1/publish`, 'POST')
      assert.equal(done.body.title, 'Published')
    })
    assert.deepEqual(await titles(prelude), ['Published'])
    assert.deepEqual(mailed, ['published: Draft', 'published: Published'])
  },
  'README.md › Raw SQL: mark_changed': async (load, prelude) => {
    const { engines, router, writerOrm, Article } = prelude
    await addArticle(prelude, 'Seen')
    await load()
    await serving(appOf(engines, router.routes()), async (url) => {
      assert.equal((await request(`${url}/articles/1/views`, 'POST')).status, 204)
    })
    assert.equal((await writerOrm.em.fork().findOneOrFail(Article, 1)).views, 1)
  },
  'README.md › Several databases': async (load, { app, Article, LogEntry, billingOrm }) => {
    await load()
    await serving(app, async (url) => {
      await request(url)
      assert.equal((await request(url)).status, 500) // the title is there already
    })
    const { shopOrm } = await import('./postgres.ts')
    assert.equal(await shopOrm.em.fork().count(Article), 1)
    assert.equal(await billingOrm.em.fork().count(LogEntry), 1)
    await shopOrm.close()
  },
  'README.md › Testing': async (load, prelude) => {
    const { router, Article } = prelude
    let stored = 0
    router.post('/articles/:title', async (ctx) => {
      ctx.dbSession.writer.create(Article, { title: ctx.params['title'] ?? '' })
      await ctx.txn.commit()
      stored += 1
      ctx.status = 201
    })
    await load()
    // behind the hooks of the block
    await new Promise((resolve) => after(resolve as () => void))
    assert.equal(process.exitCode, undefined)
    assert.equal(stored, 1)
    assert.deepEqual(await titles(prelude), [])
  },
  'docs/jobs.md › Jobs': async (load, prelude) => {
    await load()
    const orm = await prelude.openOrm('app.sqlite')
    const found = await orm.em.fork().find(prelude.Article, {}, { orderBy: { id: 'asc' } })
    assert.deepEqual(
      found.map(({ title }) => title),
      ['from a job', 'one article'],
    )
  },
  'docs/test-databases.md › One test with a database of its own': async (load, { Article, LogEntry }) => {
    const { MikroORM } = await import('@mikro-orm/postgresql')
    const { prepareTemplate } = await import('koa-sqlassist/testing')
    const { shopOrm } = await import('./postgres.ts')
    const template = await prepareTemplate({
      url: process.env['DATABASE_URL'] ?? '',
      key: await shopOrm.schema.getCreateSchemaSQL(),
      async migrate(clientUrl) {
        const orm = await MikroORM.init({ entities: [Article, LogEntry], clientUrl })
        await orm.schema.create()
        await orm.close()
      },
    })
    process.env['TEST_TEMPLATE'] = JSON.stringify(template)
    const tested = new Promise((resolve) => after(resolve as () => void))
    await load()
    await tested
    assert.equal(process.exitCode, undefined)
    await dropTemplates(template.name)
  },
  'docs/roles.md › What happens inside a session': async (load, prelude) => {
    const { engines, router } = prelude
    await load()
    await serving(appOf(engines, router.routes()), async (url) => {
      assert.equal((await request(`${url}/articles/one`, 'PUT')).status, 201)
      const again = await request(`${url}/articles/one`, 'PUT')
      assert.deepEqual([again.status, again.body.title], [200, 'one'])
    })
    assert.deepEqual(await titles(prelude), ['one'])
  },
  'docs/roles.md › Libraries that fork': async (load, prelude) => {
    const { app, loggerOrm, LogEntry } = prelude
    await load()
    await serving(app, async (url) => void (await request(url)))
    assert.deepEqual(await titles(prelude), [])
    assert.equal(await loggerOrm.em.fork().count(LogEntry), 1)
  },
  'docs/middleware-order.md › An application': async (load, prelude) => {
    const { router, Article } = prelude
    router.post('/articles/:title', (ctx) => {
      ctx.dbSession.writer.create(Article, { title: ctx.params['title'] ?? '' })
      ctx.status = 201
    })
    router.post('/graphql', (ctx) => {
      ctx.dbSession.writer.create(Article, { title: 'from a resolver' })
      ctx.body = JSON.stringify(ctx.query['failing'] === undefined ? { data: {} } : { errors: [{ message: 'failed' }] })
      ctx.type = 'application/graphql-response+json'
    })
    const { app } = await load()
    await serving(app, async (url) => {
      assert.equal((await request(`${url}/articles/one`, 'POST')).status, 201)
      assert.equal((await request(`${url}/articles/one`, 'POST')).status, 409)
      assert.equal((await request(`${url}/graphql?failing`, 'POST')).status, 200)
      assert.deepEqual(await titles(prelude), ['one'])
      assert.equal((await request(`${url}/graphql`, 'POST')).status, 200)
      assert.deepEqual(await titles(prelude), ['one', 'from a resolver'])
    })
  },
  'docs/typing.md › A router': async (load, prelude) => {
    const { openRegistry, refused } = await load()
    await addArticle(prelude, 'Typed')
    await serving(prelude.app, async (url) => {
      assert.equal((await request(`${url}/articles/1`)).body.title, 'Typed')
    })
    assert.ok(refused() instanceof EngineRegistry)
    const registry: EngineRegistry<any, any> = openRegistry()
    assert.equal(await registry.run(({ dbSession }) => dbSession.articles.count()), 1)
  },
  'docs/typing.md › Every ctx at once': async (load, prelude) => {
    const { app } = await load()
    await addArticle(prelude, 'Typed')
    await serving(app, async (url) => assert.equal((await request(url)).body.length, 1))
  },
  'docs/deployment.md › Shutdown': async (load, prelude) => {
    const { router, Article, writerOrm } = prelude
    router.post('/slow', async (ctx) => {
      process.emit('SIGTERM')
      await ctx.dbSession.writer.insert(Article, { title: 'still answered' })
      ctx.status = 201
    })
    await load()
    assert.equal((await request(`${await urlOf(servers[0])}/slow`, 'POST')).status, 201)
    while (await writerOrm.isConnected()) await turn()
    await writerOrm.connect()
    assert.deepEqual(await titles(prelude), ['still answered'])
  },
  'docs/models.md › Model helpers': async (load, { engines, readerOrm, writerOrm, router }) => {
    const { Book } = await load()
    for (const orm of [readerOrm, writerOrm]) orm.discoverEntity(Book)
    await writerOrm.schema.update()
    for (const title of ['100% sure', '1000 things', 'A book']) await writerOrm.em.fork().insert(Book, { title })
    await serving(appOf(engines, router.routes()), async (url) => {
      const { body } = await request(`${url}/books`)
      assert.deepEqual(body.similar, [{ id: 1, title: '100% sure' }])
      assert.deepEqual(
        body.page.map(({ title }: { title: string }) => title),
        ['100% sure', '1000 things', 'A book'],
      )
    })
  },
  'docs/atomic-commit.md › The table': async (load) => {
    const { orm } = await load()
    await orm.em.getConnection().execute('create table sqlassist_decision (id text primary key)')
    await orm.schema.update()
    await orm.em.getConnection().execute('insert into sqlassist_decision (id) values (1)')
    await orm.close()
  },
  'docs/errors.md › Errors and warnings': async (load, { app }) => {
    const logged: unknown[][] = []
    console.error = (...args: unknown[]) => void logged.push(args)
    await load()
    app.emit('error', new NoTransactionError('none', { cause: 'a cause' }))
    app.emit('error', Object.assign(new Error('a deadlock'), { code: '40P01' }))
    assert.deepEqual(logged, [
      ['SQLASSIST_NO_TRANSACTION', 'none', 'a cause'],
      ['the same request may well succeed next time'],
    ])
  },
  'docs/pipeline-commit.md › COMMIT along with the last statement': async (load, { app, Article }) => {
    const { shopOrm } = await import('./postgres.ts')
    await load()
    app.use((ctx) => void ctx.dbSession.writer.create(Article, { title: 'in one trip' }))
    await serving(app, async (url) => void (await request(url)))
    assert.equal(await shopOrm.em.fork().count(Article), 1)
    await shopOrm.close()
  },
  'README.md › Replicas': async (load, { app, Article }) => {
    const { shopOrm, shopReaderOrm } = await import('./postgres.ts')
    await load()
    app.use(async (ctx) => {
      if (ctx.method === 'POST') ctx.dbSession.writer.create(Article, { title: 'shown' })
      else ctx.body = await ctx.dbSession.reader.count(Article)
    })
    await serving(app, async (url) => {
      await request(url, 'POST')
      assert.equal((await request(url)).body, '1')
    })
    for (const orm of [shopOrm, shopReaderOrm]) await orm.close()
  },
  'docs/replicas.md › Replicas': async (load, { app, Article }) => {
    // As in development: the replica is the primary.
    process.env['DATABASE_REPLICAS'] = process.env['DATABASE_URL']
    const { registry } = await load()
    app.use(async (ctx) => {
      if (ctx.method === 'POST') ctx.dbSession.writer.create(Article, { title: 'shown' })
      else ctx.body = await ctx.dbSession.reader.count(Article)
    })
    await serving(app, async (url) => {
      await request(url, 'POST')
      assert.equal((await request(url)).body, '1')
    })
    await registry.close()
  },
  'docs/replicas.md › From one request to the next': async (load, { app, router, jobs }) => {
    const { registry, work } = await load()
    app.use(dbSessions(registry)).use(router.routes())
    await serving(app, async (url) => void (await request(`${url}/articles`, 'POST')))
    const [job] = jobs
    assert.equal((await work(job)).title, 'for a job')
  },
  'docs/debug-panel.md › The debug panel': async (load) => {
    const { app } = await load()
    await serving(
      app.use((ctx: Koa.Context) => (ctx.body = '<body></body>')),
      async (url) => {
        const [, link = ''] = /<a href="(.+)">/.exec((await request(`${url}/articles`)).body) ?? []
        assert.match((await request(url + link)).body, /<h1>.*GET.*\/articles/s)
      },
    )
  },
  'docs/tracing.md › Seeing into it: tracing and the debug log': async (load, { engines, Article }) => {
    const logged: unknown[] = []
    console.log = (...args: unknown[]) => void logged.push(args[0])
    await load()
    assert.ok(channel('sqlassist:unit:end').hasSubscribers)
    const registry = new EngineRegistry(engines)
    await registry.run(async ({ dbSession }) => void (await dbSession.writer.count(Article)))
    assert.deepEqual(logged, ['writer', 1, 'committed'])
  },
}
