import * as assert from 'uvu/assert'
import Koa from 'koa'
import { dbSessions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  wire: Wire
  writer: TestOrm
  look: SecondLook
}

const test = suite<World>('what comes first')

test.before(async (world) => {
  const target = await newDatabase('postgresql')
  world.wire = await openWire(target)
  world.writer = await openOrm(target, { via: world.wire.url })
  world.look = await secondLook(target)
})
test.before.each(async ({ look }) => void (await look.rows('delete from author')))
test.after(async ({ wire, writer, look }) => {
  await look.close()
  await writer.close()
  await wire.close()
})

test('the client has nothing of the answer before the commit is done', async ({ wire, writer, look }) => {
  const app = new Koa()
  app.use(dbSessions({ writer }))
  app.use((ctx) => {
    ctx.dbSession.writer.create(Author, { name: 'x' })
    ctx.body = 'done'
  })
  const served = await serve(app)
  const held = wire.hold(/^commit/i, 'answer')
  const exchange = served.open('POST', '/')
  let answered = false
  void exchange.head.then(() => (answered = true))
  await held.reached
  assert.is(await look.value('select count(*) from author'), 1, 'committed, and the server of the client does not know')
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  assert.is(answered, false)
  held.release()
  assert.is((await exchange.reply()).text, 'done')
  await served.close()
})

test('a next() raced with a timeout that has answered is found out, aborted and told', async ({ writer, look }) => {
  const goOn = Promise.withResolvers<void>()
  const told = Promise.withResolvers<Error>()
  const app = new Koa()
  app.use(async (ctx, next) => {
    const timeout = new Promise<void>((resolve) => setImmediate(resolve))
    await Promise.race([next(), timeout])
    ctx.status = 503
  })
  app.use(dbSessions({ writer }))
  app.use(async (ctx) => {
    ctx.dbSession.writer.create(Author, { name: 'late' })
    await goOn.promise
    ctx.status = 201
  })
  const served = await serve(app)
  app.on('error', told.resolve)
  const seen = await warnings('SQLASSIST_ANSWERED_TOO_EARLY', async () => {
    assert.is((await served.request('POST', '/')).status, 503)
    goOn.resolve()
    assert.is((await told.promise).name, 'AnsweredTooEarlyError')
  })
  await served.close()
  assert.is(seen.length, 1)
  assert.is(await look.value('select count(*) from author'), 0)
})

test('a handler that answers by itself, with ctx.respond = false, is taken at its word', async ({ writer, look }) => {
  const app = new Koa()
  app.use(dbSessions({ writer }))
  app.use((ctx) => {
    ctx.respond = false
    ctx.dbSession.writer.create(Author, { name: 'by itself' })
    ctx.res.end('by itself')
  })
  const served = await serve(app)
  assert.is((await served.request('POST', '/')).text, 'by itself')
  await until(async () => (await look.value('select count(*) from author')) === 1, 'the commit')
  await served.close()
})

for (const attempts of [1, 2]) {
  test(`a ctx without a response, as of koa-websocket, has its sessions and its commit (attempts: ${attempts})`, async ({
    writer,
    look,
  }) => {
    const app = new Koa()
    const connected = async (ctx: any): Promise<void> => {
      await ctx.dbSession.writer.insert(Author, { name: 'connected' })
    }
    const middleware: any = attempts === 1 ? dbSessions({ writer }) : dbSessions({ writer }, { attempts }, connected)
    app.use(async (given) => {
      const ctx: any = app.createContext(given.req, undefined as never)
      await middleware(ctx, () => (attempts === 1 ? connected(ctx) : undefined))
      given.body = 'ok'
    })
    const served = await serve(app)
    assert.is((await served.request('GET', '/')).text, 'ok')
    await served.close()
    assert.is(await look.value(`select count(*) from author where name = 'connected'`), 1)
    await look.rows('delete from author')
  })
}

test.run()
