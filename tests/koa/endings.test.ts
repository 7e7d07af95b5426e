import * as assert from 'uvu/assert'
import Koa, { type Context } from 'koa'
import {
  dbSessions,
  defaultCommitVeto,
  EngineRegistry,
  TransactionManager,
  type DbSessionsOptions,
} from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { serve, type Reply, type RequestOptions, type Served } from '../support/http.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  writer: TestOrm
  logger: TestOrm
  look: SecondLook
  logLook: SecondLook
  close(): Promise<void>
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`how a request ends on ${dialect}`)

  test.before(async (world) => {
    const [main, log] = [await openDatabase(dialect), await openDatabase(dialect)]
    Object.assign(world, { writer: main.orm, logger: log.orm, look: main.look, logLook: log.look })
    world.close = async () => {
      await main.close()
      await log.close()
    }
  })
  test.after((world) => world.close())
  test.before.each(async ({ look, logLook }) => {
    await look.rows('delete from book')
    await logLook.rows('delete from author')
  })

  interface Played {
    reply: Reply
    errors: Served['errors']
    books: unknown
    logged: unknown
  }

  /** One request: a book is written by the writer, a line by the autonomous logger, then `handler` has its say. */
  async function play(
    world: World,
    handler: (ctx: Context) => unknown,
    {
      options = {},
      request = {},
      above,
    }: {
      options?: DbSessionsOptions
      request?: RequestOptions
      above?: Koa.Middleware
    } = {},
  ): Promise<Played> {
    const { writer, logger, look, logLook } = world
    const app = new Koa()
    if (above !== undefined) app.use(above)
    app.use(dbSessions({ writer, logger: { orm: logger, commit: 'autonomous' } }, options))
    app.use(async (ctx) => {
      if (ctx.dbSession !== undefined) {
        ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: 'written' }))
        ctx.dbSession.logger.persist(ctx.dbSession.logger.create(Author, { name: 'logged' }))
      }
      ctx.status = 200
      await handler(ctx)
    })
    const served = await serve(app)
    const reply = await served.request('POST', '/', request)
    await served.close()
    return {
      reply,
      errors: served.errors,
      books: await look.value('select count(*) from book'),
      logged: await logLook.value('select count(*) from author'),
    }
  }

  test('a request that ends well commits the joined roles, then the autonomous one', async (world) => {
    const { reply, books, logged } = await play(world, () => undefined)
    assert.equal([reply.status, books, logged], [200, 1, 1])
  })

  test('a doomed request aborts and its response goes out; the autonomous role commits', async (world) => {
    const { reply, errors, books, logged } = await play(world, (ctx) => {
      ctx.txn.doom()
      ctx.body = 'as it is'
    })
    assert.equal([reply.status, reply.text, books, logged, errors.length], [200, 'as it is', 0, 1, 0])
  })

  test('an error aborts, and the autonomous role commits', async (world) => {
    const { reply, errors, books, logged } = await play(world, (ctx) => ctx.throw(418, 'teapot'))
    assert.equal([reply.status, books, logged], [418, 0, 1])
    assert.equal(
      errors.map(({ message }) => message),
      ['teapot'],
    )
  })

  test('what commitVeto says is done: status 500 by default, x-tm or 4xx with defaultCommitVeto, nothing with null', async (world) => {
    const cases: [DbSessionsOptions, (ctx: Context) => unknown, number][] = [
      [{}, (ctx) => (ctx.status = 503), 0],
      [{}, (ctx) => (ctx.status = 404), 1],
      [{ commitVeto: defaultCommitVeto }, (ctx) => (ctx.status = 404), 0],
      [{ commitVeto: defaultCommitVeto }, () => undefined, 1],
      [{ commitVeto: defaultCommitVeto }, (ctx) => ((ctx.status = 404), ctx.set('x-tm', 'commit')), 1],
      [{ commitVeto: defaultCommitVeto }, (ctx) => ctx.set('x-tm', 'abort'), 0],
      [{ commitVeto: null }, (ctx) => (ctx.status = 503), 1],
      [{ commitVeto: async () => true }, () => undefined, 0],
    ]
    for (const [index, [options, handler, rows]] of cases.entries()) {
      const { books } = await play(world, handler, { options })
      assert.is(books, rows, `case ${index}`)
      await world.look.rows('delete from book')
    }
  })

  test('a veto that throws aborts, and its error is the answer', async (world) => {
    const commitVeto = () => Promise.reject(new Error('no verdict'))
    const { reply, errors, books } = await play(world, () => undefined, { options: { commitVeto } })
    assert.equal([reply.status, books, errors.at(-1)?.message], [500, 0, 'no verdict'])
  })

  test('a commit that fails is a 500, though the handler had set 201 and a body', async (world) => {
    await world.look.rows(`insert into book (title) values ('taken')`)
    const { reply, errors, books, logged } = await play(world, (ctx) => {
      ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: 'taken' }))
      ctx.status = 201
      ctx.body = 'created'
    })
    assert.equal([reply.status, books, logged], [500, 1, 1])
    assert.is(errors.at(-1)?.name, 'UniqueConstraintViolationException')
  })

  test('activate: false leaves a request alone', async (world) => {
    const { reply, books } = await play(world, (ctx) => (ctx.body = String(ctx.tm)), {
      options: { activate: () => false },
    })
    assert.equal([reply.text, books], ['undefined', 0])
  })

  test("the note is METHOD /path unless annotate says otherwise, and the manager may be the program's own", async (world) => {
    const seen: string[] = []
    await play(world, (ctx) => void seen.push(ctx.txn.description))
    const tm = new TransactionManager({ explicit: true })
    await play(world, (ctx) => void seen.push(ctx.txn.description, String(ctx.tm === tm)), {
      options: { manager: () => tm, annotate: (_, txn) => txn.note('mine') },
    })
    assert.equal(seen, ['POST /', 'mine', 'true'])
  })

  test('mounted twice over one registry, the inner one steps aside', async (world) => {
    const app = new Koa()
    const registry = new EngineRegistry({ writer: world.writer })
    app.use(dbSessions(registry))
    app.use(dbSessions(registry))
    const seen: unknown[] = []
    app.use(async (ctx, next) => {
      seen.push(ctx.tm, ctx.dbSession)
      await next()
      ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: 'once' }))
      ctx.status = 204
    })
    const served = await serve(app)
    assert.is((await served.request('GET', '/')).status, 204)
    await served.close()
    assert.is(await world.look.value('select count(*) from book'), 1)
  })

  test('a handler may commit and begin anew: the second transaction is committed at the end', async (world) => {
    const { reply, books } = await play(world, async (ctx) => {
      await ctx.txn.commit()
      await ctx.tm.begin()
      ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Book, { title: 'second' }))
    })
    assert.equal([reply.status, books], [200, 2])
  })

  test('after an early abort nothing is committed, and a role cannot be opened without a new begin', async (world) => {
    const { reply, errors, books } = await play(world, async (ctx) => {
      await ctx.txn.abort()
      void ctx.dbSession.writer
    })
    assert.equal([reply.status, books], [500, 0])
    assert.is((errors.at(-1) as { code?: string }).code, 'SQLASSIST_NO_TRANSACTION')
  })

  test('a session kept beyond its request throws and says when it ended', async (world) => {
    let kept: any
    let em: any
    await play(world, (ctx) => {
      kept = ctx.dbSession
      em = ctx.dbSession.writer
    })
    for (const use of [() => em.persist({}), () => em.count(Book), () => em.fork(), () => em.clear()]) {
      try {
        await use()
        assert.unreachable('a dead session was used')
      } catch (error: any) {
        assert.is(error.code, 'SQLASSIST_SESSION_ENDED')
        assert.match(error.message, /"writer".*its transaction was committed/)
      }
    }
    assert.throws(() => kept.writer, /"writer" was asked for after its request or run had ended/)
    assert.equal(kept.status, { writer: 'END', logger: 'END' })
  })

  test('a middleware above that forgot to await next() is found out: aborted, warned about, told to the app', async (world) => {
    const answered = Promise.withResolvers<void>()
    const told = Promise.withResolvers<Error>()
    const seen = await warnings('SQLASSIST_ANSWERED_TOO_EARLY', async () => {
      await play(
        world,
        async (ctx) => {
          ctx.app.on('error', told.resolve)
          await answered.promise
        },
        {
          above(ctx, next) {
            ctx.res.once('close', answered.resolve)
            void next()
          },
        },
      )
      assert.is((await told.promise).name, 'AnsweredTooEarlyError')
    })
    assert.is(seen.length, 1)
    assert.match(
      seen[0]!.message,
      /POST \/ was sent before the handler was done.*await next\(\).*ctx\.respond = false/s,
    )
    assert.is(await world.look.value('select count(*) from book'), 0)
  })

  test.run()
}
