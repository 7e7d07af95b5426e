/** Several dbSessions on one ctx: of several registries, or of one. */
import Koa, { type Context } from 'koa'
import { Readable } from 'node:stream'
import * as assert from 'uvu/assert'
import {
  dbSessions,
  defaultCommitVeto,
  EngineRegistry,
  NotRetriedError,
  TransientError,
  UnitOfWorkEndedError,
} from '../../source/index.ts'
import { authorNames, clearTables } from '../support/authors.ts'
import { Author } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { until } from '../support/until.ts'
import { suite } from '../support/suite.ts'

type Opened = Awaited<ReturnType<typeof openDatabase>>
interface World {
  shop: Opened
  billing: Opened
  inShop: EngineRegistry<any>
  inBilling: EngineRegistry<any>
}
type Handler = (ctx: any, next: () => Promise<unknown>) => unknown

for (const dialect of DIALECTS) {
  const test = suite<World>(`several dbSessions on one ctx, on ${dialect}`)
  test.before(async (world) => {
    world.shop = await openDatabase(dialect)
    world.billing = await openDatabase(dialect)
    world.inShop = new EngineRegistry<any>({ writer: world.shop.orm })
    world.inBilling = new EngineRegistry<any>({ main: world.billing.orm })
  })
  test.before.each(({ shop, billing }) => clearTables(shop.look, billing.look))
  test.after(async ({ shop, billing }) => {
    for (const each of [shop, billing]) await each.close()
  })

  const stored = async ({ shop, billing }: World): Promise<unknown[][]> => [
    await authorNames(shop.look),
    await authorNames(billing.look),
  ]
  /** Both, with the inner one's sessions as ctx.billing, around `handler`. */
  const both = ({ inShop, inBilling }: World, handler: Handler, { outer = {}, inner = {} } = {}) =>
    new Koa<any, any>()
      .use(dbSessions(inShop, outer))
      .use(dbSessions(inBilling, { property: 'billing', ...inner }))
      .use(handler as never)
  async function answer(app: Koa<any, any>, method = 'GET'): Promise<[status: number, text: string, served: Served]> {
    const served = await serve(app)
    const { status, text } = await served.request(method, '/')
    await served.close()
    return [status, text, served]
  }
  function sell(ctx: any): void {
    ctx.dbSession.writer.create(Author, { name: 'sold' })
    ctx.billing.main.create(Author, { name: 'billed' })
  }

  test('each gives its sessions, and stores what was made in them before the answer leaves', async (world) => {
    const app = both(world, (ctx) => {
      sell(ctx)
      ctx.status = 204
    })
    assert.is((await answer(app))[0], 204)
    assert.equal(await stored(world), [['sold'], ['billed']])
  })

  const ENDS: Record<string, [expected: unknown[][], handler: Handler, options?: object]> = {
    'an error of the handler aborts both': [[[], []], (ctx) => ctx.throw(500)],
    'a doomed transaction is the inner one': [[['sold'], []], (ctx) => ctx.txn.doom()],
    'a veto of the inner one aborts that alone': [
      [['sold'], []],
      (ctx) => void (ctx.status = 404),
      { inner: { commitVeto: defaultCommitVeto } },
    ],
    'a veto of the outer one aborts that alone': [
      [[], ['billed']],
      (ctx) => void (ctx.status = 404),
      { outer: { commitVeto: defaultCommitVeto } },
    ],
  }
  for (const [title, [expected, end, options]] of Object.entries(ENDS)) {
    test(title, async (world) => {
      const app = both(
        world,
        async (ctx) => {
          sell(ctx)
          ctx.body = 'ok'
          await end(ctx, async () => undefined)
        },
        options,
      )
      await answer(app)
      assert.equal(await stored(world), expected)
    })
  }

  test('ctx.tm, ctx.txn and one property for both are those of the innermost one that the code is in', async (world) => {
    const { inShop, inBilling } = world
    const seen: unknown[] = []
    const see = (ctx: any): void => void seen.push(Object.keys(ctx.dbSession.status)[0], ctx.tm, ctx.txn)
    const app = new Koa<any, any>()
      .use(dbSessions(inShop))
      .use(async (ctx, next) => {
        see(ctx)
        await next()
        see(ctx)
        ctx.dbSession.writer.create(Author, { name: 'behind the inner one' })
      })
      .use(dbSessions(inBilling))
      .use((ctx: any) => {
        see(ctx)
        ctx.dbSession.main.create(Author, { name: 'inside' })
        ctx.status = 204
      })
    assert.is((await answer(app))[0], 204)
    const [before, inside, after] = [seen.slice(0, 3), seen.slice(3, 6), seen.slice(6)]
    assert.equal([before[0], inside[0], after[0]], ['writer', 'main', 'writer'])
    assert.ok(before[1] === after[1] && before[2] === after[2] && before[1] !== inside[1] && before[2] !== inside[2])
    assert.equal(await stored(world), [['behind the inner one'], ['inside']])
  })

  test('a body may read from the read-only roles of both', async ({ shop, billing }) => {
    await shop.look.rows(`insert into author (name) values ('sold')`)
    await billing.look.rows(`insert into author (name) values ('billed')`)
    const [inShop, inBilling] = [shop, billing].map(
      ({ orm }) => new EngineRegistry<any>({ reader: { orm, readOnly: true } }),
    ) as [EngineRegistry<any>, EngineRegistry<any>]
    async function* lines(ctx: any): AsyncIterable<string> {
      for (const { reader } of [ctx.dbSession, ctx.billing])
        for await (const { name } of reader.stream(Author)) yield String(name)
    }
    const app = both({ inShop, inBilling } as World, (ctx) => void (ctx.body = Readable.from(lines(ctx))))
    const [status, text] = await answer(app)
    assert.equal([status, text], [200, 'soldbilled'])
  })

  test('a client that goes away has both aborted', async (world) => {
    const arrived = Promise.withResolvers<void>()
    const left = Promise.withResolvers<void>()
    const app = both(world, async (ctx) => {
      sell(ctx)
      await Promise.all([ctx.dbSession.writer.flush(), ctx.billing.main.flush()])
      ctx.res.once('close', left.resolve)
      arrived.resolve()
      await left.promise
    })
    const served = await serve(app)
    const exchange = served.open('GET', '/')
    await arrived.promise
    exchange.destroy()
    await served.idle()
    await until(() => served.errors.length > 0, 'the error of the request')
    await served.close()
    assert.equal(await stored(world), [[], []])
  })

  // Attempts

  function attempting({ inShop, inBilling }: World, handler: (ctx: any, attempt: number) => unknown) {
    let attempt = 0
    const inner = dbSessions(inBilling, { property: 'billing' }, async (ctx: Context) => {
      attempt++
      await handler(ctx, attempt)
      ctx.body = 'ok'
    })
    const failing = async (ctx: any, next: () => Promise<void>): Promise<void> => {
      await inner(ctx, next)
      if (ctx.state.fails === true) throw new TransientError('behind the inner one')
    }
    return new Koa<any, any>().use(dbSessions(inShop, { attempts: 2 }, failing as never))
  }

  test('another attempt at the outer one begins the inner one anew', async (world) => {
    let late: any
    const app = attempting(world, async (ctx, attempt) => {
      sell(ctx)
      if (attempt === 2) return
      late = await new Promise((resolve) => {
        setImmediate(() => resolve(() => ctx.billing.main))
      })
      throw new TransientError('once more')
    })
    assert.is((await answer(app))[0], 200)
    assert.equal(await stored(world), [['sold'], ['billed']])
    assert.type(late, 'function')
  })

  test('code that an attempt left behind does not reach the inner one of the next', async (world) => {
    const second = Promise.withResolvers<void>()
    let late: Promise<Error> | undefined
    const app = attempting(world, async (ctx, attempt) => {
      sell(ctx)
      if (attempt === 1) {
        late = rejection(second.promise.then(() => ctx.billing.main))
        throw new TransientError('once more')
      }
      second.resolve()
      await late
    })
    assert.is((await answer(app))[0], 200)
    assert.instance(await late, UnitOfWorkEndedError)
    assert.equal(await stored(world), [['sold'], ['billed']])
  })

  test('once the inner one has stored something there is no other attempt, and the error says so', async (world) => {
    const app = attempting(world, (ctx) => {
      sell(ctx)
      ctx.state.fails = true
    })
    const [status, , served] = await answer(app)
    assert.is(status, 500)
    assert.instance(served.errors[0], NotRetriedError)
    assert.match(served.errors[0]!.message, /ctx\.billing/)
    assert.instance(served.errors[0]!.cause, TransientError)
    assert.equal(await stored(world), [[], ['billed']])
  })

  test('an inner one that only read does not keep the outer one from another attempt', async (world) => {
    const app = attempting(world, async (ctx, attempt) => {
      ctx.dbSession.writer.create(Author, { name: 'sold' })
      await ctx.billing.main.count(Author)
      ctx.state.fails = attempt === 1
    })
    assert.is((await answer(app))[0], 200)
    assert.equal(await stored(world), [['sold'], []])
  })

  // One registry

  test('an inner one of the same registry offers its property, and runs its downstream once', async (world) => {
    let runs = 0
    const routes = (ctx: any): void => {
      runs++
      ctx.inner.writer.create(Author, { name: 'by the inner one' })
      ctx.body = String(ctx.inner === ctx.dbSession)
    }
    const app = new Koa()
      .use(dbSessions(world.inShop))
      .use(dbSessions(world.inShop, { property: 'inner', attempts: 3, commitVeto: () => true }, routes as never))
    const [status, text] = await answer(app)
    assert.equal([status, text, runs], [200, 'true', 1])
    assert.equal((await stored(world))[0], ['by the inner one'])
  })

  test('an inner one of the same registry is run again with the attempts of the outer one, in its sessions', async (world) => {
    let runs = 0
    const routes = async (ctx: any): Promise<void> => {
      ctx.inner.writer.create(Author, { name: `run ${++runs}` })
      await ctx.inner.writer.flush()
      if (runs === 1) throw new TransientError('once more')
      ctx.body = String(ctx.inner === ctx.dbSession)
    }
    const inner = dbSessions(world.inShop, { property: 'inner' }, routes as never)
    const app = new Koa().use(dbSessions(world.inShop, { attempts: 2 }, inner as never))
    const [status, text] = await answer(app)
    assert.equal([status, text, runs], [200, 'true', 2])
    assert.equal((await stored(world))[0], ['run 2'])
  })

  test('one behind another that has ended has a unit of its own', async (world) => {
    const put = (name: string) => (ctx: any) => {
      ctx.dbSession.writer.create(Author, { name })
      ctx.body = 'ok'
    }
    const one = dbSessions(world.inShop, {}, put('one') as never)
    const two = dbSessions(world.inShop, {}, put('two') as never)
    const app = new Koa().use(async (ctx: any) => {
      await one(ctx, async () => undefined)
      await two(ctx, async () => undefined)
    })
    assert.is((await answer(app))[0], 200)
    assert.equal((await stored(world))[0], ['one', 'two'])
  })

  test('a request left alone by activate is answered by downstream', async (world) => {
    const routes = (ctx: any): void => void (ctx.body = String(ctx.dbSession))
    const app = new Koa().use(dbSessions(world.inShop, { activate: () => false }, routes as never))
    const [status, text] = await answer(app)
    assert.equal([status, text], [200, 'undefined'])
  })

  test.run()
}
