import * as assert from 'uvu/assert'
import Koa, { type Context } from 'koa'
import Router from '@koa/router'
import { bodyParser } from '@koa/bodyparser'
import { dbSessions, NotRetriedError, type DbSessionsOptions } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { serve, type RequestOptions, type Served } from '../support/http.ts'
import { ormsIdle } from '../support/leaks.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { barrier } from '../support/barrier.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

interface World {
  orm: TestOrm
  logger: TestOrm
  look: SecondLook
}

const test = suite<World>('a request that is run again')

test.before(async (world) => {
  const target = await newDatabase('postgresql')
  world.orm = await openOrm(target)
  world.logger = await openOrm(target)
  world.look = await secondLook(target)
})
test.before.each(async ({ look }) => {
  await look.rows('delete from book')
  await look.rows('delete from author')
  await look.rows(`insert into author (id, name) values (1, 'on call'), (2, 'on call')`)
  await look.rows(`select setval('author_id_seq', 10)`)
})
test.after(async ({ orm, logger, look }) => {
  await ormsIdle(orm)
  await look.close()
  await orm.close()
  await logger.close()
})

async function served(
  { orm, logger }: World,
  handler: (ctx: Context) => unknown,
  options: DbSessionsOptions = {},
): Promise<Served> {
  const app = new Koa()
  const engines = {
    writer: { orm, isolationLevel: 'serializable' },
    logger: { orm: logger, commit: 'autonomous' },
  } as const
  app.use((ctx, next) => {
    ctx.state.above = 'kept'
    ctx.set('x-above', 'kept')
    return next()
  })
  app.use(
    dbSessions(
      engines,
      { attempts: 3, ...options },
      async (ctx, next) => void (await handler(Object.assign(ctx, { next }))),
    ),
  )
  app.use((ctx) => {
    ctx.body = 'the rest of the application'
  })
  return await serve(app)
}

/** Handlers of which two in their first attempt change what the other has read; the second to commit fails in that. */
function skew(seen: unknown[] = []) {
  const meet = [barrier(2), barrier(2)] as const
  return async (ctx: Context) => {
    const em = ctx.dbSession.writer
    seen.push(ctx.tm.attempt)
    const onCall = await em.count(Author, { name: 'on call' })
    if (ctx.tm.attempt === 1) await meet[0]()
    if (onCall > 1) await em.nativeUpdate(Author, { id: Number(ctx.query.id) }, { name: 'gone' })
    if (ctx.tm.attempt === 1) await meet[1]()
    ctx.body = { attempt: ctx.tm.attempt, onCall }
  }
}

test('a conflict at commit is run again, in a new transaction, and both clients get 200', async (world) => {
  const attempts: unknown[] = []
  const server = await served(world, skew(attempts))
  const replies = await Promise.all([server.request('POST', '/?id=1'), server.request('POST', '/?id=2')])
  await server.close()
  assert.equal(
    replies.map(({ status }) => status),
    [200, 200],
  )
  assert.equal(replies.map((reply) => reply.json().attempt).toSorted(), [1, 2])
  assert.equal(attempts.toSorted(), [1, 1, 2])
  assert.is(await world.look.value(`select count(*) from author where name = 'on call'`), 1)
})

test('a deadlock is run again', async (world) => {
  const meet = barrier(2)
  const server = await served(world, async (ctx) => {
    const em = ctx.dbSession.writer
    const first = Number(ctx.query.first)
    await em.execute('update author set name = ? where id = ?', [`by ${first}`, first])
    if (ctx.tm.attempt === 1) await meet()
    await em.execute('update author set name = ? where id = ?', [`by ${first}`, 3 - first])
    ctx.dbSession.markChanged('writer')
    ctx.body = String(ctx.tm.attempt)
  })
  const replies = await Promise.all([server.request('POST', '/?first=1'), server.request('POST', '/?first=2')])
  await server.close()
  assert.equal(
    replies.map(({ status }) => status),
    [200, 200],
  )
  assert.ok(replies.some(({ text }) => text !== '1'))
})

function transient(): Error {
  return Object.assign(new Error('could not serialize'), { code: '40001' })
}

test('status, headers, body, state and rows of a failed attempt are gone, those from above are not', async (world) => {
  const statuses: unknown[] = []
  const server = await served(world, async (ctx) => {
    statuses.push([ctx.status, { ...ctx.state }, ctx.response.get('x-attempt'), ctx.response.get('x-above'), ctx.body])
    ctx.dbSession.writer.create(Book, { title: `attempt ${ctx.tm.attempt}` })
    ctx.dbSession.logger.create(Author, { name: `attempt ${ctx.tm.attempt}` })
    await ctx.dbSession.writer.flush()
    await ctx.dbSession.logger.flush()
    ctx.set('x-attempt', 'failed')
    ctx.state.attempt = 'failed'
    if (ctx.tm.attempt < 3) {
      ctx.status = 202
      ctx.body = 'failed'
      ctx.type = 'text/html'
      throw transient()
    }
    ctx.remove('x-attempt')
    ctx.body = { ok: true }
  })
  const reply = await server.request('POST', '/')
  await server.close()
  const fresh = [404, { above: 'kept' }, undefined, 'kept', undefined]
  assert.equal(statuses, [fresh, fresh, fresh])
  assert.is(reply.status, 200)
  assert.is(reply.headers['content-type'], 'application/json; charset=utf-8')
  assert.is(reply.headers['x-attempt'], undefined)
  assert.equal(await world.look.rows('select title from book'), [{ title: 'attempt 3' }])
  assert.equal(await world.look.rows(`select name from author where name like 'attempt%'`), [{ name: 'attempt 3' }])
})

test('after-commit hooks of an attempt that failed to commit ran with false, abort hooks of every failed one ran', async (world) => {
  const ran: string[] = []
  const handler = skew()
  const server = await served(world, async (ctx) => {
    const { attempt } = ctx.tm
    ctx.txn.addAfterCommitHook((committed: boolean) => void ran.push(`${attempt} ${committed}`))
    await handler(ctx)
  })
  await Promise.all([server.request('POST', '/?id=1'), server.request('POST', '/?id=2')])
  await server.close()
  assert.equal(ran.toSorted(), ['1 false', '1 true', '2 true'])
})

test('an error that is not worth it, and the last attempt, come out as they are', async (world) => {
  let tries = 0
  const failing = await served(world, () => {
    tries++
    throw new Error('no use')
  })
  assert.is((await failing.request('GET', '/')).status, 500)
  assert.equal([tries, failing.errors[0]?.message], [1, 'no use'])
  await failing.close()

  const hopeless = await served(world, () => {
    tries++
    throw transient()
  })
  assert.is((await hopeless.request('GET', '/')).status, 500)
  assert.equal([tries, hopeless.errors[0]?.message], [4, 'could not serialize'])
  await hopeless.close()
})

async function notRetried(
  world: World,
  handler: (ctx: Context) => unknown,
  reason: RegExp,
  request: RequestOptions = {},
): Promise<void> {
  let tries = 0
  const server = await served(world, async (ctx) => {
    tries++
    await handler(ctx)
    throw transient()
  })
  const exchange = server.open('POST', '/', request)
  await until(() => server.errors.length > 0, 'the error')
  exchange.destroy()
  await server.close()
  assert.is(tries, 1)
  const error = server.errors[0] as Error
  assert.instance(error, NotRetriedError)
  assert.match(error.message, reason)
  assert.is((error.cause as { code: string }).code, '40001')
}

test('nothing is run again once bytes were sent, and the error says so', async (world) => {
  await notRetried(world, (ctx) => void ctx.res.write('begun'), /part of the response was sent already/)
})

test('nothing is run again once the body of the request was read unparsed, and the error says so', async (world) => {
  const read = async (ctx: Context) => void (await Array.fromAsync(ctx.req))
  await notRetried(world, read, /the body of the request was read and is gone/, { body: { a: 1 } })
})

test('nothing is run again once the rest of the application was run, and the error says so', async (world) => {
  await notRetried(
    world,
    (ctx) => (ctx as unknown as { next: () => unknown }).next(),
    /the rest of the application was run/,
  )
})

test('a body that a parser keeps is there again, and a router is a downstream', async ({ orm, look }) => {
  const router = new Router()
  router.post('/authors', (ctx) => {
    ctx.dbSession.writer.create(Author, { name: (ctx.request.body as { name: string }).name })
    if (ctx.tm.attempt === 1) throw transient()
    ctx.status = 201
  })
  const app = new Koa()
  const parsed = bodyParser()
  app.use(
    dbSessions({ writer: orm }, { attempts: 2 }, (ctx, next) => parsed(ctx, () => router.routes()(ctx as never, next))),
  )
  const server = await serve(app)
  assert.is((await server.request('POST', '/authors', { body: { name: 'parsed' } })).status, 201)
  assert.is((await server.request('GET', '/elsewhere')).status, 404)
  await server.close()
  assert.is(await look.value(`select count(*) from author where name = 'parsed'`), 1)
})

test('attempts without downstream, and attempts that are none, are refused at start-up', ({ orm }) => {
  assert.throws(() => dbSessions({ writer: orm }, { attempts: 2 }), /attempts is 2, but Koa's next\(\) runs only once/)
  assert.throws(() => dbSessions({ writer: orm }, { attempts: 0 }), /attempts is 0/)
})

test.run()
