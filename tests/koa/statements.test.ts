import * as assert from 'uvu/assert'
import Koa, { type Context } from 'koa'
import { dbSessions } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { watchLeaks, ormsIdle } from '../support/leaks.ts'
import { newDatabase, openOrm, poolOf, type TestOrm } from '../support/orms.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  wire: Wire
  look: SecondLook
  reader: TestOrm
  writer: TestOrm
}

const test = suite<World>('what is sent to PostgreSQL')

test.before(async (world) => {
  const url = await newDatabase('postgresql')
  world.wire = await openWire(url)
  world.reader = await openOrm(url, { via: world.wire.url })
  world.writer = await openOrm(url, { via: world.wire.url })
  world.look = await secondLook(url)
})
test.after(async ({ wire, reader, writer, look }) => {
  await look.close()
  await reader.close()
  await writer.close()
  await wire.close()
})

/** Runs one request through `handler` and tells what was sent for it. */
async function sentBy({ wire, reader, writer }: World, handler: (ctx: Context) => unknown): Promise<string[]> {
  const app = new Koa()
  app.use(dbSessions({ reader: { orm: reader, readOnly: true }, writer }))
  app.use(async (ctx) => {
    await handler(ctx)
    ctx.status = 204
  })
  const served = await serve(app)
  wire.reset()
  const { status } = await served.request('GET', '/')
  assert.is(status, 204, served.errors.join())
  await ormsIdle(writer)
  await served.close()
  return wire.sql()
}

test('a row that was only persisted: begin, insert, commit, and nothing else', async (world) => {
  const sent = await sentBy(world, ({ dbSession: { writer } }) => {
    writer.persist(writer.create(Book, { title: 'exactly' }))
  })
  assert.is(sent.length, 3)
  assert.is(sent[0], 'begin')
  assert.match(sent[1]!, /^insert into "book"/)
  assert.is(sent[2], 'commit')
})

test('a session that only read is rolled back, never committed', async (world) => {
  const sent = await sentBy(world, ({ dbSession: { writer } }) => writer.findOne(Book, { title: 'exactly' }))
  assert.is(sent.length, 3)
  assert.match(sent[1]!, /^select/)
  assert.is(sent[2], 'rollback')
})

test('a read on a read-only role has a transaction of its own, to which the server keeps it', async (world) => {
  const sent = await sentBy(world, ({ dbSession: { reader } }) => reader.count(Book))
  assert.is(sent.length, 3)
  assert.is(sent[0], 'begin read only')
  assert.match(sent[1]!, /^select count/)
  assert.is(sent[2], 'rollback')
})

test('an opened session without a statement sends nothing', async (world) => {
  assert.equal(await sentBy(world, ({ dbSession: { writer } }) => void writer), [])
})

test('six first statements at once begin one transaction on one connection', async (world) => {
  const sent = await sentBy(world, async ({ dbSession: { writer } }) => {
    await Promise.all([
      writer.find(Book, {}),
      writer.count(Author),
      writer.execute('select 1'),
      writer.createQueryBuilder(Book).getResult(),
      writer.getKysely().selectFrom('author').selectAll().execute(),
      writer.insert(Author, { name: 'one of six' }),
    ])
  })
  assert.is(sent.filter((sql) => sql === 'begin').length, 1)
  assert.is(sent.at(-1), 'commit')
  assert.is(sent.length, 8)
  assert.is(new Set(world.wire.statements().map(({ connection }) => connection)).size, 1)
})

test('a request that opens no session makes no fork, takes no connection and sends nothing', async (world) => {
  const counted = { forks: 0, connects: 0 }
  const { em } = world.writer
  const fork = em.fork
  const pool = await poolOf(world.writer)
  const acquired = () => void counted.connects++
  pool.on('acquire', acquired)
  Object.assign(em, {
    fork(...args: unknown[]) {
      counted.forks++
      return (fork as (...rest: unknown[]) => unknown).apply(em, args)
    },
  })
  assert.equal(await sentBy(world, () => undefined), [])
  assert.equal(counted, { forks: 0, connects: 0 })
  await sentBy(world, ({ dbSession: { writer } }) => writer.count(Book))
  assert.equal(counted, { forks: 1, connects: 1 }, 'the counters count')
  delete (em as { fork?: unknown }).fork
  pool.off('acquire', acquired)
})

test('200 requests at once over a pool of 5: all answered, the pool idle, nothing left behind', async ({
  wire,
  look,
}) => {
  const writer = await openOrm(wire.url, { poolMax: 5 })
  const pool = await poolOf(writer)
  const app = new Koa()
  app.use(dbSessions({ writer }))
  app.use((ctx) => {
    const em = ctx.dbSession.writer
    if (ctx.path.endsWith('0')) throw new Error('every tenth fails')
    em.persist(em.create(Book, { title: `load ${ctx.path}` }))
    ctx.body = 'ok'
  })
  const leaks = watchLeaks({ pools: [pool], emitters: { app } })
  const served = await serve(app)
  const replies = await Promise.all(Array.from({ length: 200 }, (_, n) => served.request('GET', `/${n}`)))
  assert.is(replies.filter(({ status }) => status === 200).length, 180)
  assert.is(replies.filter(({ status }) => status === 500).length, 20)
  assert.is(await look.value(`select count(*) from book where title like 'load %'`), 180)
  assert.ok(pool.totalCount <= 5)
  await served.close()
  await leaks.check()
  await writer.close()
})

test('a database that is down: 500, the driver error reaches the app, and the next request works', async (world) => {
  const { wire, writer } = world
  const app = new Koa()
  app.use(dbSessions({ writer }))
  app.use(async (ctx) => {
    ctx.body = String(await ctx.dbSession.writer.count(Book))
  })
  const served = await serve(app)
  await wire.down()
  assert.is((await served.request('GET', '/')).status, 500)
  assert.match(String((served.errors.at(-1) as NodeJS.ErrnoException).code), /^ECONN/)
  await wire.up()
  assert.is((await served.request('GET', '/')).status, 200)
  await ormsIdle(writer)
  await served.close()
})

test.run()
