import * as assert from 'uvu/assert'
import { Readable } from 'node:stream'
import Koa, { type Context } from 'koa'
import { dbSessions, EngineRegistry } from '../../source/index.ts'
import { addAuthors } from '../support/authors.ts'
import { Author } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS } from '../support/orms.ts'
import { openReaderAndWriter, type ReaderAndWriter } from '../support/reader-and-writer.ts'
import { suite } from '../support/suite.ts'

const ROWS = 100_000

for (const dialect of DIALECTS) {
  for (const readOnly of [true, 'snapshot'] as const) {
    // A snapshot on SQLite has its one connection, and reads a stream at once: only PostgreSQL streams from one.
    if (dialect === 'sqlite' && readOnly === 'snapshot') continue
    const test = suite<ReaderAndWriter>(`a streamed body from a role with readOnly: ${readOnly} on ${dialect}`)

    test.before(async (world) => {
      Object.assign(world, await openReaderAndWriter(dialect, { reader: 2 }))
      await addAuthors(world.look, ROWS, 'name ')
    })
    test.after(({ close }) => close())

    async function serving(
      world: ReaderAndWriter,
      handler: (ctx: Context) => unknown,
    ): Promise<{ served: Served; registry: EngineRegistry<any> }> {
      const registry = new EngineRegistry({ reader: { orm: world.reader, readOnly }, writer: world.writer })
      const app = new Koa()
      app.use(dbSessions(registry))
      app.use(async (ctx) => void (await handler(ctx)))
      return { served: await serve(app), registry }
    }

    /** The reader's connections are all back. */
    async function idle(world: ReaderAndWriter): Promise<void> {
      await ormsIdle(world.reader)
      await world.reader.em.fork().count(Author, {}, { limit: 1 } as never)
    }

    test('every row arrives, and the connection is back when the stream ends', async (world) => {
      const { served } = await serving(world, (ctx) => (ctx.body = names(ctx.dbSession.reader)))
      const { status, text } = await served.request('GET', '/')
      await served.close()
      await idle(world)
      assert.is(status, 200)
      assert.is(text.split('\n').length - 1, ROWS)
    })

    test('a stream that fails half way gives its connection back, and its error reaches the app', async (world) => {
      const { served } = await serving(world, (ctx) => (ctx.body = names(ctx.dbSession.reader, 500)))
      const exchange = served.open('GET', '/')
      await exchange.reply().catch(() => undefined)
      await served.idle()
      await served.close()
      await idle(world)
      assert.ok(
        served.errors.some(({ message }) => message === 'half way'),
        served.errors.join(),
      )
    })

    test('a client that goes away half way gives the connection back', async (world) => {
      const { served } = await serving(world, (ctx) => (ctx.body = names(ctx.dbSession.reader)))
      const exchange = served.open('GET', '/')
      const message = await exchange.head
      await new Promise((resolve) => message.once('data', resolve))
      exchange.destroy()
      await served.idle()
      await idle(world)
      await served.close()
    })

    test('a client that does not read holds the stream up: no more of it is in memory than the network takes', async (world) => {
      let produced = 0
      async function* lines(em: any) {
        for await (const { name } of em.stream(Author, {})) {
          produced++
          yield name.padEnd(1_000)
        }
      }
      const { served } = await serving(world, (ctx) => (ctx.body = Readable.from(lines(ctx.dbSession.reader))))
      const exchange = served.open('GET', '/')
      await exchange.head
      let before = -1
      while (produced !== before) {
        before = produced
        for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
      }
      assert.ok(produced > 0 && produced < ROWS / 2, `${produced} rows were read`)
      exchange.destroy()
      await served.idle()
      await served.close()
      await idle(world)
    })

    test('a HEAD request, whose body nobody reads, leaves nothing open', async (world) => {
      const { served, registry } = await serving(world, (ctx) => (ctx.body = names(ctx.dbSession.reader)))
      assert.is((await served.request('HEAD', '/')).status, 200)
      await idle(world)
      await served.close()
      const closed = registry.close()
      await closed
      await world.reader.connect()
      await world.writer.connect()
    })

    test('the writer has committed before the first byte of the body leaves', async (world) => {
      const { served } = await serving(world, (ctx) => {
        ctx.dbSession.writer.create(Author, { name: 'written' })
        ctx.body = names(ctx.dbSession.reader)
      })
      const exchange = served.open('GET', '/')
      await exchange.head
      assert.is(await world.look.value(`select count(*) from author where name = 'written'`), 1)
      exchange.destroy()
      await served.idle()
      await served.close()
      await idle(world)
      await world.look.rows(`delete from author where name = 'written'`)
    })

    test('a stream from a joined role is refused with an explanation', async (world) => {
      const { served } = await serving(world, (ctx) => (ctx.body = names(ctx.dbSession.writer)))
      await served.request('GET', '/').catch(() => undefined)
      await served.close()
      assert.match(served.errors[0]?.message ?? '', /"writer" was used after it ended.*streamed body.*read-only role/s)
    })

    test.run()
  }
}

/** A line for each author; fails after `failAfter`. */
function names(em: any, failAfter = Number.POSITIVE_INFINITY): Readable {
  async function* lines() {
    let count = 0
    for await (const { name } of em.stream(Author, {})) {
      if (++count > failAfter) throw new Error('half way')
      yield `${name}\n`
    }
  }
  return Readable.from(lines())
}
