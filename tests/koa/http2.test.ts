/** Over HTTP/2 a client that goes away is noticed as over HTTP/1, and one that got its whole answer is not taken for one. */
import * as assert from 'uvu/assert'
import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { Readable } from 'node:stream'
import Koa, { type Context } from 'koa'
import { ClientDisconnectedError, dbSessions, EngineRegistry } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { LEAVINGS, serveHttp2 } from '../support/http2.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS } from '../support/orms.ts'
import { openReaderAndWriter, type ReaderAndWriter } from '../support/reader-and-writer.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

/** Koa's type knows the answer of HTTP/1 alone. */
function streamOf({ res }: Context): Http2ServerResponse['stream'] {
  return (res as ServerResponse & Pick<Http2ServerResponse, 'stream'>).stream
}

for (const dialect of DIALECTS) {
  const test = suite<ReaderAndWriter>(`HTTP/2 on ${dialect}`)

  test.before(async (world) => {
    Object.assign(world, await openReaderAndWriter(dialect, { reader: 2, writer: 2 }))
  })
  test.before.each(async ({ reader, writer, look }) => {
    await reader.connect()
    await writer.connect()
    await look.rows('delete from author')
  })
  test.after(({ close }) => close())

  async function serving(
    { reader, writer }: ReaderAndWriter,
    handler: (ctx: Context) => unknown,
    readOnly: any = true,
  ) {
    const registry = new EngineRegistry({ reader: { orm: reader, readOnly }, writer })
    const app = new Koa()
    app.use(dbSessions(registry))
    app.use(async (ctx) => void (await handler(ctx)))
    return { served: await serveHttp2(app), registry }
  }

  async function idle({ reader, writer }: ReaderAndWriter): Promise<void> {
    await ormsIdle(reader, writer)
  }

  for (const how of LEAVINGS) {
    for (const method of ['POST', 'HEAD']) {
      for (const when of ['after', 'before']) {
        test(`the work of a ${method} whose client leaves (${how}) ${when} its first session is opened is rolled back`, async (world) => {
          const [ready, goOn] = [Promise.withResolvers<Context>(), Promise.withResolvers<void>()]
          const { served, registry } = await serving(world, async (ctx) => {
            if (when === 'after') await ctx.dbSession.writer.insert(Author, { name: 'of somebody who left' })
            ready.resolve(ctx)
            await goOn.promise
            ctx.body = 'late'
            if (when === 'before') ctx.dbSession.writer.create(Author, { name: 'of somebody who left' })
          })
          const exchange = served.open('/', method)
          const stream = streamOf(await ready.promise)
          exchange.leave(how)
          await until(() => stream.destroyed || stream.aborted, 'the server to notice')
          goOn.resolve()
          await until(() => served.errors.length > 0, 'the error')
          await idle(world)
          assert.instance(served.errors[0], ClientDisconnectedError)
          assert.is(await world.look.value('select count(*) from author'), 0)
          await served.close()
          await registry.close()
        })
      }
    }
  }

  for (const method of ['POST', 'HEAD']) {
    test(`a ${method} that gets its whole answer is committed, also where the handler sends it by itself`, async (world) => {
      const { served, registry } = await serving(world, async (ctx) => {
        ctx.dbSession.writer.create(Author, { name: ctx.path })
        if (ctx.path === '/itself') ctx.respond = false
        else return void (ctx.body = 'stored')
        ctx.res.end('stored')
        await until(() => streamOf(ctx).destroyed, 'the stream to be gone')
      })
      for (const path of ['/koa', '/itself'])
        assert.is((await served.open(path, method).reply)?.status, path === '/koa' ? 200 : 404)
      await until(async () => (await world.look.value('select count(*) from author')) === 2, 'both commits')
      await served.close()
      await registry.close()
      assert.equal(served.errors, [])
    })
  }

  for (const readOnly of [true, 'snapshot'] as const) {
    for (const how of LEAVINGS) {
      test(`connections of a body streamed with readOnly: ${readOnly} come back when clients leave (${how}) before the handler is done`, async (world) => {
        const goOn = Promise.withResolvers<void>()
        const waiting: Context[] = []
        const { served, registry } = await serving(
          world,
          async (ctx) => {
            await ctx.dbSession.reader.count(Author)
            if (ctx.path === '/next') return void (ctx.body = 'next')
            waiting.push(ctx)
            await goOn.promise
            ctx.body = Readable.from(ctx.dbSession.reader.stream(Author))
          },
          readOnly,
        )
        // A snapshot on SQLite has its one connection.
        const exchanges = Array.from({ length: dialect === 'sqlite' ? 1 : 2 }, () => served.open('/'))
        await until(() => waiting.length === exchanges.length, 'the handlers')
        for (const exchange of exchanges) exchange.leave(how)
        await served.idle()
        goOn.resolve()
        assert.is((await served.open('/next').reply)?.text, 'next')
        await idle(world)
        await registry.close()
        await served.close()
      })
    }
  }

  test.run()
}
