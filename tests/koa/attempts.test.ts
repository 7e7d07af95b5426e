import * as assert from 'uvu/assert'
import { AsyncResource } from 'node:async_hooks'
import { PassThrough, Readable } from 'node:stream'
import Koa, { type Context } from 'koa'
import {
  dbSessions,
  EngineRegistry,
  TransactionManager,
  TransientError,
  UnitOfWorkEndedError,
  type DbSessionsOptions,
} from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { DIALECTS, openOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

interface Registered {
  registry: EngineRegistry<any>
}
type World = DatabaseWorld & Registered
type Handler = (ctx: any, attempt: number) => unknown

for (const dialect of DIALECTS) {
  const test = databaseSuite<Registered>(`what belongs to an attempt on ${dialect}`, dialect)

  test.before((world) => void (world.registry = new EngineRegistry({ writer: world.orm })))

  const names = ({ look }: World): Promise<unknown[]> => authorNames(look)

  /** Has `handler` answer a request in two attempts; what it throws goes to the application. */
  async function request(
    { registry }: World,
    handler: Handler,
    options: DbSessionsOptions<any> = {},
  ): Promise<unknown[]> {
    let attempt = 0
    const served = await serve(
      new Koa().use(
        dbSessions(registry, { attempts: 3, ...options }, async (ctx: Context) => {
          attempt++
          await handler(ctx, attempt)
          ctx.body = 'ok'
        }),
      ),
    )
    const { status } = await served.request('GET', '/')
    await served.close()
    return [status, served.errors[0]?.message]
  }

  const LATE: Record<string, (ctx: any, world: World) => unknown> = {
    'ctx.dbSession.writer': (ctx) => ctx.dbSession.writer.create(Author, { name: 'late' }),
    'ctx.dbSession.get()': (ctx) => ctx.dbSession.get('writer'),
    'ctx.dbSession.any': (ctx) => ctx.dbSession.any,
    'ctx.dbSession.markChanged()': (ctx) => ctx.dbSession.markChanged('writer'),
    'ctx.txn.abort()': (ctx) => ctx.txn.abort(),
    'ctx.txn.doom()': (ctx) => ctx.txn.doom(),
    'ctx.txn.commit()': (ctx) => ctx.txn.commit(),
    'ctx.tm.abort()': (ctx) => ctx.tm.abort(),
    'ctx.tm.begin()': (ctx) => ctx.tm.begin(),
    'orm.em.insert()': (_, { orm }) => orm.em.insert(Author, { name: 'late' }),
    'orm.em.create()': (_, { orm }) => orm.em.create(Author, { name: 'late' }),
    'a repository': (_, { orm }) => orm.em.getRepository(Author).insert({ name: 'late' }),
    'orm.em.execute()': (_, { orm }) => orm.em.execute(`insert into author (name) values ('late')`),
    'orm.em.getKysely()': (_, { orm }) => orm.em.getKysely(),
    'orm.em.getConnection()': (_, { orm }) => orm.em.getConnection(),
    'ctx inside registry.run()': (ctx, { registry }) => registry.run(() => ctx.txn.doom()),
    'a session inside registry.run()': (ctx, { registry }) => registry.run(() => ctx.dbSession.writer),
  }

  for (const [use, late] of Object.entries(LATE)) {
    test(`${use} in code that an attempt left behind is refused, and the next one commits`, async (world) => {
      const second = Promise.withResolvers<void>()
      let refused: Promise<Error> | undefined
      const reply = await request(world, async (ctx, attempt) => {
        if (attempt === 1) {
          ctx.dbSession.writer.create(Author, { name: 'of attempt 1' })
          refused = rejection(second.promise.then(() => late(ctx, world)))
          throw new TransientError('once more')
        }
        ctx.dbSession.writer.create(Author, { name: 'of attempt 2' })
        second.resolve()
        const error = await refused
        assert.instance(error, UnitOfWorkEndedError)
        assert.match(error!.message, /registry\.run\(\)/)
      })
      assert.equal([...reply, await names(world)], [200, undefined, ['of attempt 2']])
    })
  }

  test('what an attempt took from ctx, and kept, does nothing to the next', async (world) => {
    const second = Promise.withResolvers<void>()
    let refused: Promise<Error[]> | undefined
    const reply = await request(world, async (ctx, attempt) => {
      if (attempt === 1) {
        const { tm, txn, dbSession } = ctx
        const em = dbSession.writer
        await em.count(Author)
        const uses = [
          () => tm.begin(),
          () => tm.abort(),
          () => tm.run(() => undefined),
          () => dbSession.writer,
          () => txn.join({ sortKey: () => 'x' }),
          () => em.insert(Author, { name: 'late' }),
        ]
        refused = Promise.all(uses.map((use) => rejection(second.promise.then(use))))
        throw new TransientError('once more')
      }
      ctx.dbSession.writer.create(Author, { name: 'of attempt 2' })
      second.resolve()
      const [begin, abort, run, session, join, insert] = (await refused)!.map((error: any) => error.code)
      assert.equal([begin, abort, run, session], Array(4).fill('SQLASSIST_UNIT_OF_WORK_ENDED'))
      assert.equal([join, insert], ['SQLASSIST_TRANSACTION_ENDED', 'SQLASSIST_SESSION_ENDED'])
    })
    assert.equal([...reply, await names(world)], [200, undefined, ['of attempt 2']])
  })

  test('three attempts at once find each its own, under any property; code without its context the last', async (world) => {
    const third = Promise.withResolvers<void>()
    const outside = new AsyncResource('lost')
    const found: unknown[] = []
    const own: unknown[] = []
    const late: Promise<unknown>[] = []
    const reply = await request(
      world,
      async (ctx, attempt) => {
        own.push(ctx.sessions)
        late.push(third.promise.then(() => found.push(ctx.sessions)))
        if (attempt < 3) throw new TransientError('once more')
        third.resolve()
        await Promise.all(late)
        assert.is(
          outside.runInAsyncScope(() => ctx.sessions),
          own[2],
        )
        assert.is(
          outside.runInAsyncScope(() => ctx.txn),
          ctx.txn,
        )
        assert.equal(own[0] !== own[1] && own[1] !== own[2], true)
        assert.ok(found.every((each, index) => each === own[index]))
        assert.is(found.length, 3)
      },
      { property: 'sessions' },
    )
    assert.equal(reply, [200, undefined])
  })

  test('what the handler puts in the place of the container stays there until the next attempt', async (world) => {
    const reply = await request(world, (ctx, attempt) => {
      const container = ctx.dbSession
      assert.equal(container.status, { writer: 'INIT' })
      ctx.dbSession = { wrapped: container }
      assert.is(ctx.dbSession.wrapped, container)
      if (attempt < 3) throw new TransientError('once more')
    })
    assert.equal(reply, [200, undefined])
  })

  test('a manager of the program that serves all attempts is not reached by ctx of an ended one', async (world) => {
    const manager = new TransactionManager({ explicit: true })
    const second = Promise.withResolvers<void>()
    let refused: Promise<Error> | undefined
    const reply = await request(
      world,
      async (ctx, attempt) => {
        if (attempt === 1) {
          refused = rejection(second.promise.then(() => ctx.tm.abort()))
          throw new TransientError('once more')
        }
        ctx.dbSession.writer.create(Author, { name: 'of attempt 2' })
        second.resolve()
        assert.instance(await refused, UnitOfWorkEndedError)
        assert.is(ctx.tm, manager)
      },
      { manager: () => manager },
    )
    assert.equal([...reply, await names(world)], [200, undefined, ['of attempt 2']])
  })

  test('after its request ctx.txn and ctx.tm throw that it has ended', async (world) => {
    const errors: unknown[] = []
    const app = new Koa()
    app.use(async (ctx: any, next) => {
      await next()
      for (const read of [() => ctx.txn, () => ctx.tm, () => ctx.dbSession.writer]) {
        try {
          errors.push(read())
        } catch (error) {
          errors.push(error)
        }
      }
      assert.equal(ctx.dbSession.status, { writer: 'END' })
    })
    app.use(dbSessions(world.registry)).use((ctx: any) => {
      ctx.dbSession.writer.create(Author, { name: 'x' })
      ctx.body = 'ok'
    })
    const served = await serve(app)
    await served.request('GET', '/')
    await served.close()
    assert.is(errors.length, 3)
    for (const error of errors) assert.instance(error, UnitOfWorkEndedError)
    assert.equal([served.errors, await names(world)], [[], ['x']])
  })

  test('a stream that the handler started reads by the global orm.em of a read-only role that it has opened', async (world) => {
    const { orm, look } = world
    await look.rows(`insert into author (name) values ('read')`)
    const read = await openOrm(world.target)
    const app = new Koa().use(dbSessions({ reader: { orm: read, readOnly: true }, writer: orm }))
    app.use(async (ctx: any) => {
      await ctx.dbSession.reader.count(Author)
      const chunks = async function* (): AsyncGenerator<string> {
        for (const { name } of await read.em.find(Author, {})) yield name
      }
      // What starts in the handler goes on in its context.
      ctx.body = Readable.from(chunks()).pipe(new PassThrough())
    })
    const served = await serve(app)
    assert.is((await served.request('GET', '/')).text, 'read')
    await served.idle()
    await served.close()
    await read.close()
    assert.equal(served.errors, [])
  })

  test.run()
}
