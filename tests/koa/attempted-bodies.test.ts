/** The body of a request that is attempted again, by each way in which programs read one. */
import { bodyParser } from '@koa/bodyparser'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import { PassThrough, Writable } from 'node:stream'
import Koa, { type Context } from 'koa'
import * as assert from 'uvu/assert'
import rawBody from 'raw-body'
import { dbSessions, EngineRegistry, NotRetriedError, TransientError } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { serveHttp2 } from '../support/http2.ts'

type Read = (ctx: any) => unknown

const next = async (): Promise<void> => undefined

/** Ways to read it, each to the end. */
const READERS: Record<string, Read> = {
  'listening for data and end': ({ req }) => {
    const end = once(req, 'end')
    req.on('data', () => undefined)
    return end
  },
  'iterating over ctx.req': ({ req }) => Array.fromAsync(req),
  'ctx.req.toArray()': ({ req }) => req.toArray(),
  'stream/consumers': ({ req }) => buffer(req),
  'ctx.req.pipe()': async ({ req }) => {
    const taken = req.pipe(new PassThrough())
    taken.resume()
    await finished(taken)
  },
  'stream.pipeline()': ({ req }) => pipeline(req, new Writable({ write: (_chunk, _encoding, done) => done() })),
  'listening for readable': async ({ req }) => {
    const end = once(req, 'end')
    req.on('readable', () => void req.read())
    await end
  },
  'raw-body': ({ req }) => rawBody(req),
  'raw-body, whose error is mapped,': (ctx) => rawBody(ctx.req).catch(() => ctx.throw(422, 'cannot parse')),
}

const test = databaseSuite('the body of a request that is attempted again', 'sqlite')
type World = DatabaseWorld

interface Outcome {
  readonly status: number
  readonly error: any
  readonly attempts: number
}

/** Has `read` read in each of three attempts at most, of which the first ends in an error worth another. */
async function attempted(
  { orm }: World,
  read: Read,
  { above = next, body = 'a body', keeps = true }: { above?: Read; body?: string; keeps?: boolean } = {},
): Promise<Outcome> {
  let attempts = 0
  const app = new Koa()
  app.use(async (ctx, onwards) => {
    await above(ctx)
    await onwards()
  })
  const registry = new EngineRegistry({ writer: orm })
  app.use(
    dbSessions(registry, { attempts: 3 }, async (ctx: Context) => {
      attempts++
      await ctx.dbSession.writer.insert(Author, { name: `attempt ${attempts}` })
      await read(ctx)
      if (keeps) ctx.request.body = { kept: true }
      if (attempts === 1) throw new TransientError('once more')
      ctx.status = 204
    }),
  )
  const served = await serve(app)
  const { status } = await served.request('POST', '/', { body })
  await served.close()
  return { status, error: served.errors[0], attempts }
}

function assertNotRetried({ status, error, attempts }: Outcome, expected: number): void {
  assert.is(status, 500)
  assert.instance(error, NotRetriedError, String(error?.stack))
  assert.match(error.message, /^once more .* the body of the request was read .*parse it before dbSessions/)
  assert.instance(error.cause, TransientError)
  assert.is(attempts, expected)
}

for (const [way, read] of Object.entries(READERS)) {
  test(`${way} once more ends the attempt with the error worth retrying as cause`, async (world) => {
    assertNotRetried(await attempted(world, read), 2)
    assert.equal(await authorNames(world.look), [])
  })

  test(`${way}, where ctx.request.body has nothing, is not attempted again`, async (world) => {
    assertNotRetried(await attempted(world, read, { keeps: false }), 1)
  })

  test(`${way} above dbSessions does not keep the request from another attempt`, async (world) => {
    const { status, attempts } = await attempted(world, next, { above: read, keeps: false })
    assert.equal([status, attempts], [204, 2])
    assert.equal(await authorNames(world.look), ['attempt 2'])
  })

  test(`${way} in the first attempt only is no reason against the next`, async (world) => {
    let isRead = false
    const readOnce = async (ctx: unknown): Promise<void> => {
      if (!isRead) await read(ctx)
      isRead = true
    }
    const { status, attempts } = await attempted(world, readOnce)
    assert.equal([status, attempts], [204, 2])
  })
}

test('a parser that finds what it kept on ctx.request.body is run again', async (world) => {
  const parser = bodyParser({ enableTypes: ['text'] })
  const found: unknown[] = []
  const read = async (ctx: any): Promise<void> => {
    await parser(ctx, next)
    found.push(ctx.request.body)
  }
  const { status, attempts } = await attempted(world, read, { keeps: false })
  assert.equal([status, attempts], [204, 2])
  assert.equal(found, [{}, {}])
})

test('a body of which a part was read above is not read on by another attempt', async (world) => {
  const above: Read = ({ req }) => once(req, 'readable').then(() => req.read(2))
  assertNotRetried(await attempted(world, ({ req }) => Array.fromAsync(req), { above }), 2)
})

test('an attempt that fails while it reads leaves nothing to the next', async (world) => {
  const read: Read = (ctx) => {
    ctx.request.body = {}
    ctx.req.on('data', () => undefined)
  }
  assertNotRetried(await attempted(world, read), 2)
})

test('an error of another attempt that has nothing to do with the body comes out as it is', async (world) => {
  let attempts = 0
  const read: Read = async (ctx) => {
    if (++attempts === 1) return await Array.fromAsync(ctx.req)
    return ctx.throw(404, 'no such thing')
  }
  const { status, attempts: count } = await attempted(world, read)
  assert.equal([status, count], [404, 2])
})

test('a request without a body is iterated over again', async (world) => {
  const { status, attempts } = await attempted(world, ({ req }) => Array.fromAsync(req), {
    body: '',
    keeps: false,
  })
  assert.equal([status, attempts], [204, 2])
})

test('a request without a body ends where an attempt would wait for the end once more', async (world) => {
  const listen = READERS['listening for data and end'] as Read
  assertNotRetried(await attempted(world, listen, { body: '', keeps: false }), 2)
})

test('over HTTP/2 a body that is read again ends the attempt, and one that is kept does not', async ({ orm }) => {
  const registry = new EngineRegistry({ writer: orm })
  const attempts: string[] = []
  const app = new Koa().use(
    dbSessions(registry, { attempts: 2 }, async (ctx: Context) => {
      attempts.push(ctx.path)
      await ctx.dbSession.writer.count(Author)
      if (ctx.path === '/again' || attempts.length === 1) await READERS['listening for data and end']!(ctx)
      ctx.request.body = { kept: true }
      if (attempts.length === 1) throw new TransientError('once more')
      ctx.status = 204
    }),
  )
  const served = await serveHttp2(app)
  const request = async (path: string): Promise<number> => {
    attempts.length = 0
    return (await served.open(path, 'POST', 'a body').reply)?.status ?? 0
  }
  assert.equal([await request('/kept'), attempts.length], [204, 2])
  assert.equal([await request('/again'), attempts.length], [500, 2])
  assert.instance(served.errors[0], NotRetriedError)
  await served.close()
})

test.run()
