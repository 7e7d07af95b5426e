import * as assert from 'uvu/assert'
import Koa from 'koa'
import Router from '@koa/router'
import { bodyParser } from '@koa/bodyparser'
import { dbSessions, ManagedSessionError, markChanged, type DbSessionsContext } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { DIALECTS, newDatabase, openOrm, type Dialect, type TestOrm } from '../support/orms.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  reader: TestOrm
  writer: TestOrm
  audit: TestOrm
  look: SecondLook
  auditLook: SecondLook
  served: Served
}

async function open(dialect: Dialect, disableTransaction: boolean): Promise<World> {
  const [main, other] = [await newDatabase(dialect, 'main'), await newDatabase(dialect, 'audit')]
  const [reader, writer, audit] = [await openOrm(main), await openOrm(main), await openOrm(other)]
  const engines = { reader: { orm: reader, readOnly: true }, writer, audit, journal: undefined as never }
  delete (engines as { journal?: never }).journal
  const app = new Koa()
  app.use(dbSessions(engines, { disableTransaction }))
  const router = new Router<Koa.DefaultState, DbSessionsContext<typeof engines>>()
  router.post('/books', (ctx) => {
    const { writer: em } = ctx.dbSession
    em.persist(em.create(Book, ctx.request.body as { title: string }))
    ctx.status = 201
  })
  router.get('/books', async (ctx) => {
    ctx.body = await ctx.dbSession.reader.count(Book)
  })
  router.post('/throw', async (ctx) => {
    ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: 'thrown' }))
    ctx.dbSession.audit.persist(ctx.dbSession.audit.create(Author, { name: 'thrown' }))
    await ctx.dbSession.writer.flush()
    await ctx.dbSession.audit.flush()
    throw new Error('after writing')
  })
  router.post('/status/:status', (ctx) => {
    ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: `status ${ctx.params.status}` }))
    ctx.status = Number(ctx.params.status)
  })
  router.post('/raw', async (ctx) => {
    await ctx.dbSession.writer.execute(`insert into author (name) values ('raw')`)
    if (ctx.query.marked === '1') markChanged(ctx.dbSession.writer)
    ctx.status = 204
  })
  router.post('/early', async (ctx) => {
    ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: 'early' }))
    await ctx.txn.commit()
    ctx.body = ctx.dbSession.status
  })
  router.get('/nothing', (ctx) => {
    ctx.body = ctx.dbSession.status
  })
  router.post('/commit', async (ctx) => {
    ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: 'committed by hand' }))
    await ctx.dbSession.writer.commit()
    ctx.status = 204
  })
  app.use(bodyParser()).use(router.routes())
  return {
    reader,
    writer,
    audit,
    look: await secondLook(main),
    auditLook: await secondLook(other),
    served: await serve(app),
  }
}

for (const dialect of DIALECTS) {
  for (const disableTransaction of [false, true]) {
    const test = suite<World>(`${dialect}${disableTransaction ? ', transactions disabled' : ''}`)

    test.before(async (world) => void Object.assign(world, await open(dialect, disableTransaction)))
    test.after(async ({ served, look, auditLook, reader, writer, audit }) => {
      await served.close()
      await look.close()
      await auditLook.close()
      for (const orm of [reader, writer, audit]) await orm.close()
    })

    test('a row that was only persisted is there when the client has the response', async ({ served, look }) => {
      const { status } = await served.request('POST', '/books', { body: { title: 'persisted' } })
      assert.is(status, 201)
      assert.is(await look.value(`select count(*) from book where title = 'persisted'`), 1)
    })

    test('a read on the reader sees what is committed', async ({ served, look }) => {
      const { text } = await served.request('GET', '/books')
      assert.is(Number(text), await look.value('select count(*) from book'))
    })

    test('a handler that throws leaves no row in any role, and the same error reaches the app', async (world) => {
      const { status } = await world.served.request('POST', '/throw')
      assert.is(status, 500)
      assert.is(await world.look.value(`select count(*) from book where title = 'thrown'`), 0)
      assert.is(await world.auditLook.value(`select count(*) from author where name = 'thrown'`), 0)
      assert.is(world.served.errors.at(-1)?.message, 'after writing')
    })

    test('a 500 that was not thrown leaves nothing; a 404 commits what it wrote', async ({ served, look }) => {
      assert.is((await served.request('POST', '/status/500')).status, 500)
      assert.is((await served.request('POST', '/status/404')).status, 404)
      assert.is(await look.value(`select count(*) from book where title = 'status 500'`), 0)
      assert.is(await look.value(`select count(*) from book where title = 'status 404'`), 1)
    })

    test('raw SQL is kept when the session is marked as changed', async ({ served, look }) => {
      const before = (await look.value('select count(*) from author')) as number
      assert.is((await served.request('POST', '/raw?marked=1')).status, 204)
      assert.is(await look.value('select count(*) from author'), before + 1)
    })

    test('raw SQL that nobody marked is rolled back, with a warning that shows the statement', async ({
      served,
      look,
    }) => {
      const before = await look.value('select count(*) from author')
      const seen = await warnings('SQLASSIST_UNMARKED_WRITE', async () => {
        assert.is((await served.request('POST', '/raw')).status, 204)
      })
      assert.is(await look.value('select count(*) from author'), before)
      assert.is(seen.length, 1)
      assert.match(seen[0]!.message, /insert into author .* markChanged/)
    })

    test('a handler may commit early; its session is over then', async ({ served, look }) => {
      const reply = await served.request('POST', '/early')
      assert.equal(reply.json(), { reader: 'INIT', writer: 'END', audit: 'INIT' })
      assert.is(await look.value(`select count(*) from book where title = 'early'`), 1)
    })

    test('em.commit() is refused where the manager commits, and works where transactions are disabled', async (world) => {
      const { status } = await world.served.request('POST', '/commit')
      assert.is(status, disableTransaction ? 204 : 500)
      const rows = await world.look.value(`select count(*) from book where title = 'committed by hand'`)
      assert.is(rows, disableTransaction ? 1 : 0)
      if (!disableTransaction) assert.instance(world.served.errors.at(-1), ManagedSessionError)
    })

    test.run()
  }
}
