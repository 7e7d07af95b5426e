/**
 * Bodies that are piped: Koa knows the last stream of the chain, and the first one reads from a session. Whatever becomes of
 * the client, the process lives, connections come back and the registry closes. An error without a listener fails the run.
 */
import * as assert from 'uvu/assert'
import { once } from 'node:events'
import { PassThrough, Readable, Transform } from 'node:stream'
import { createGzip } from 'node:zlib'
import Koa, { type Context } from 'koa'
import {
  dbSessions,
  EngineRegistry,
  SessionEndedError,
  TransientError,
  UnitOfWorkEndedError,
  type DbSessionsOptions,
} from '../../source/index.ts'
import { addAuthors } from '../support/authors.ts'
import { Author } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { serveHttp2 } from '../support/http2.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS } from '../support/orms.ts'
import { openReaderAndWriter, type ReaderAndWriter } from '../support/reader-and-writer.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

const ROWS = 20_000

/** What reads: row by row, or page by page. */
const SOURCES: Record<string, (em: () => any) => Readable> = {
  'a stream': (em) => Readable.from(em().stream(Author)),
  pages: (em) => Readable.from(pages(em)),
}

/** What it is piped through. */
const CHAINS: Record<string, (source: Readable) => Readable> = {
  'a transform': (source) => source.pipe(lines()),
  'a transform and gzip': (source) => source.pipe(lines()).pipe(createGzip({ level: 0 })),
  'two transforms and gzip': (source) =>
    source
      .pipe(lines())
      .pipe(new PassThrough())
      .pipe(createGzip({ level: 0 })),
}

for (const dialect of DIALECTS) {
  const test = suite<ReaderAndWriter>(`piped bodies on ${dialect}`)

  test.before(async (world) => {
    Object.assign(world, await openReaderAndWriter(dialect, { reader: 1, writer: 1 }))
    await addAuthors(world.look, ROWS, 'a name that is as long as it takes ')
  })
  test.before.each(async ({ reader, writer }) => {
    await reader.connect()
    await writer.connect()
  })
  test.after(({ close }) => close())

  interface Setting {
    readonly readOnly?: boolean | 'snapshot'
    readonly options?: DbSessionsOptions
  }

  function application(
    { reader, writer }: ReaderAndWriter,
    handler: (ctx: any) => unknown,
    { readOnly = true, options }: Setting,
  ) {
    const registry = new EngineRegistry<any>({ reader: { orm: reader, readOnly }, writer }, { recover: false })
    const app = new Koa()
    const work = async (ctx: Context): Promise<void> => void (await handler(ctx))
    if (options?.attempts === undefined) app.use(dbSessions(registry, options)).use(work)
    else app.use(dbSessions(registry, options, work))
    return { app, registry }
  }

  async function serving(world: ReaderAndWriter, handler: (ctx: any) => unknown, setting: Setting = {}) {
    const { app, registry } = application(world, handler, setting)
    return { served: await serve(app), registry }
  }

  /** Whatever was told, connections are back and nothing keeps the registry. */
  async function over(
    { reader, writer }: ReaderAndWriter,
    { close }: { close(): Promise<void> },
    registry: EngineRegistry<any>,
  ) {
    await ormsIdle(reader, writer)
    await registry.run(({ dbSession }: any) => dbSession.reader.count(Author))
    await close()
    await registry.close()
  }

  async function leaveInTheMiddle(served: Served): Promise<void> {
    const exchange = served.open('GET', '/')
    await once(await exchange.head, 'data')
    exchange.destroy()
    await served.idle()
  }

  for (const readOnly of [true, 'snapshot'] as const) {
    for (const [what, source] of Object.entries(SOURCES)) {
      for (const [how, chain] of Object.entries(CHAINS)) {
        const title = `${what} piped through ${how} (readOnly: ${readOnly})`

        test(`${title}: a client that leaves in the middle ends it`, async (world) => {
          const handler = (ctx: any) => void (ctx.body = chain(source(() => ctx.dbSession.reader)))
          const { served, registry } = await serving(world, handler, { readOnly })
          await leaveInTheMiddle(served)
          await over(world, served, registry)
        })

        test(`${title}: a client that leaves before the handler is done ends it`, async (world) => {
          const [ready, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
          const handler = async (ctx: any): Promise<void> => {
            await ctx.dbSession.reader.count(Author)
            ready.resolve()
            await goOn.promise
            ctx.body = chain(source(() => ctx.dbSession.reader))
            await new Promise(setImmediate)
          }
          const { served, registry } = await serving(world, handler, { readOnly })
          const exchange = served.open('GET', '/')
          await ready.promise
          exchange.destroy()
          await served.idle()
          goOn.resolve()
          await until(() => served.errors.length > 0, 'the error')
          await over(world, served, registry)
        })
      }
    }

    test(`over HTTP/2 a client that leaves in the middle ends it (readOnly: ${readOnly})`, async (world) => {
      const handler = (ctx: any) =>
        void (ctx.body = CHAINS['a transform']!(SOURCES['pages']!(() => ctx.dbSession.reader)))
      const { app, registry } = application(world, handler, { readOnly })
      const served = await serveHttp2(app)
      const exchange = served.open('/')
      await exchange.begun
      exchange.leave('reset')
      await served.idle()
      await over(world, served, registry)
    })
  }

  test('a piped body of a HEAD request, which nobody reads, ends with the response', async (world) => {
    const handler = (ctx: any) =>
      void (ctx.body = CHAINS['a transform']!(SOURCES['a stream']!(() => ctx.dbSession.reader)))
    const { served, registry } = await serving(world, handler)
    assert.is((await served.request('HEAD', '/')).status, 200)
    await over(world, served, registry)
  })

  test('a piped body is whole for a client that stays', async (world) => {
    const handler = (ctx: any) =>
      void (ctx.body = CHAINS['a transform']!(SOURCES['a stream']!(() => ctx.dbSession.reader)))
    const { served, registry } = await serving(world, handler)
    assert.is((await served.request('GET', '/')).text.split('\n').length - 1, ROWS)
    await over(world, served, registry)
    assert.equal(served.errors, [])
  })

  test('a loop that writes rows into the body ends when the client has left', async (world) => {
    const ended = Promise.withResolvers<void>()
    const handler = (ctx: any): void => {
      const body = new PassThrough()
      ctx.body = body
      void write(ctx.dbSession.reader, body).then(ended.resolve, ended.reject)
    }
    const { served, registry } = await serving(world, handler)
    await leaveInTheMiddle(served)
    await ended.promise
    await over(world, served, registry)
  })

  for (const [what, source] of Object.entries(SOURCES)) {
    for (const [how, chain] of Object.entries(CHAINS)) {
      if (what === 'pages' && how.startsWith('two')) continue
      test(`${what} of a joined role, whose transaction is over, piped through ${how} breaks the answer off`, async (world) => {
        const handler = (ctx: any) => void (ctx.body = chain(source(() => ctx.dbSession.writer)))
        const { served, registry } = await serving(world, handler)
        const reply = await served.request('GET', '/').catch((error: unknown) => error)
        assert.instance(reply, Error)
        await until(() => served.errors.length > 0, 'the error')
        const [error] = served.errors
        assert.ok(error instanceof SessionEndedError || error instanceof UnitOfWorkEndedError, String(error))
        await over(world, served, registry)
      })
    }
  }

  test('a piped body ends where the handler throws after setting it', async (world) => {
    const { served, registry } = await serving(world, (ctx) => {
      ctx.body = CHAINS['a transform']!(SOURCES['a stream']!(() => ctx.dbSession.reader))
      throw new Error('behind it')
    })
    assert.is((await served.request('GET', '/')).status, 500)
    await over(world, served, registry)
  })

  test('a piped body ends with the attempt that it belongs to', async (world) => {
    let attempt = 0
    const handler = (ctx: any): void => {
      ctx.body = CHAINS['a transform']!(SOURCES['a stream']!(() => ctx.dbSession.reader))
      if (++attempt === 1) throw new TransientError('once more')
    }
    const { served, registry } = await serving(world, handler, { options: { attempts: 2 } })
    assert.is((await served.request('GET', '/')).text.split('\n').length - 1, ROWS)
    await over(world, served, registry)
  })

  test.run()
}

async function* pages(em: () => any): AsyncGenerator<{ name: string }> {
  for (let offset = 0; ; offset += 100) {
    const page = await em().find(Author, {}, { orderBy: { id: 'asc' }, limit: 100, offset })
    yield* page
    if (page.length < 100) return
  }
}

async function write(em: any, body: PassThrough): Promise<void> {
  for await (const { name } of em.stream(Author)) {
    if (body.write(`${name}\n`) || body.destroyed) continue
    await Promise.race([once(body, 'drain'), once(body, 'close')])
  }
  body.end()
}

function lines(): Transform {
  return new Transform({ writableObjectMode: true, transform: ({ name }, _, done) => done(null, `${name}\n`) })
}
