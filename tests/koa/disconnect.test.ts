import * as assert from 'uvu/assert'
import type pg from 'pg'
import Koa, { type Context } from 'koa'
import { ClientDisconnectedError, dbSessions, type DbSessionsOptions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { poolIdle, watchLeaks } from '../support/leaks.ts'
import { newDatabase, openOrm, poolOf, type TestOrm } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  wire: Wire
  reader: TestOrm
  writer: TestOrm
  logger: TestOrm
  look: SecondLook
  pools: pg.Pool[]
}

const test = suite<World>('a client that goes away')

test.before(async (world) => {
  const target = await newDatabase('postgresql')
  world.wire = await openWire(target)
  world.reader = await openOrm(target)
  world.writer = await openOrm(target, { via: world.wire.url, poolMax: 2 })
  world.logger = await openOrm(target)
  world.look = await secondLook(target)
  world.pools = []
  for (const orm of [world.reader, world.writer]) {
    world.pools.push(await poolOf(orm))
  }
})
test.before.each(async ({ look, wire }) => {
  await look.rows('delete from author')
  wire.reset()
})
test.after(async ({ wire, reader, writer, logger, look }) => {
  await look.close()
  for (const orm of [reader, writer, logger]) await orm.close()
  await wire.close()
})

async function serving(
  world: World,
  handler: (ctx: Context) => unknown,
  options: DbSessionsOptions = {},
): Promise<Served> {
  const app = new Koa()
  app.use(
    dbSessions(
      {
        reader: { orm: world.reader, readOnly: true },
        writer: world.writer,
        logger: { orm: world.logger, commit: 'autonomous' },
      },
      options,
    ),
  )
  app.use(async (ctx) => void (await handler(ctx)))
  return await serve(app)
}

/** How many backends run that statement right now, alone or with others around it. */
async function running(sql: string): Promise<number> {
  const { adminQuery } = await postgres()
  const rows = await adminQuery(`select 1 from pg_stat_activity where state = 'active' and strpos(query, $1) > 0`, [
    sql,
  ])
  return rows.length
}

const SLEEP = 'select pg_sleep(300)'

for (const role of ['writer', 'reader'] as const) {
  test(`the statement that its ${role} runs is cancelled in PostgreSQL, everything aborts, connections come back`, async (world) => {
    const leaks = watchLeaks({ pools: world.pools })
    let thrown: unknown
    const served = await serving(world, async (ctx) => {
      ctx.dbSession.writer.create(Author, { name: 'before' })
      await ctx.dbSession.writer.flush()
      ctx.dbSession.logger.create(Author, { name: 'audit' })
      await ctx.dbSession[role].execute(SLEEP).catch((error: unknown) => {
        thrown = error
        throw error
      })
    })
    const exchange = served.open('POST', '/')
    await until(async () => (await running(SLEEP)) === 1, 'the statement to run')
    exchange.destroy()
    await until(async () => (await running(SLEEP)) === 0, 'the statement to be cancelled')
    await until(() => served.errors.length === 1, 'the error')
    await served.close()
    await leaks.check()
    assert.is((thrown as { code: string }).code, '57014')
    const [error] = served.errors
    assert.instance(error, ClientDisconnectedError)
    assert.is(error!.cause, thrown)
    assert.match(error!.message, /POST \/ went away before the commit.*abortOnDisconnect: false/s)
    assert.equal(await world.look.rows('select name from author'), [{ name: 'audit' }], 'what is autonomous is kept')
  })
}

test('a request to cancel that comes late hits nobody: a read-only role gives its connection back only behind it', async (world) => {
  const reader = await openOrm(world.wire.url, { poolMax: 1 })
  const pool = await poolOf(reader)
  await world.look.rows(
    `create function wait_for(lock int) returns text language sql as 'select pg_advisory_xact_lock(lock)::text'`,
  )
  const app = new Koa()
  app.use(dbSessions({ reader: { orm: reader, readOnly: true } }))
  app.use(async (ctx) => {
    await ctx.dbSession.reader.execute(`select wait_for(${ctx.path.slice(1)})`)
    ctx.body = 'read'
  })
  const served = await serve(app)
  await served.request('GET', '/0')
  for (const lock of [1, 2]) await world.look.rows(`select pg_advisory_lock(${lock})`)
  const leaves = served.open('GET', '/1')
  await until(async () => (await running('select wait_for(1)')) === 1, 'the first to wait for its lock')
  const late = world.wire.holdCancels()
  leaves.destroy()
  await late.reached
  await world.look.rows('select pg_advisory_unlock(1)')
  await until(async () => (await running('select wait_for(1)')) === 0, 'the first to be done')
  const stays = served.open('GET', '/2')
  await until(
    async () => pool.waitingCount === 1 || (await running('select wait_for(2)')) === 1,
    'the second to have the connection, or to wait for it',
  )
  assert.is(pool.waitingCount, 1, 'the connection is not given back before the request to cancel has arrived')
  late.release()
  await until(async () => (await running('select wait_for(2)')) === 1, 'the second to wait for its lock')
  await world.look.rows('select pg_advisory_unlock(2)')
  assert.is((await stays.reply()).text, 'read')
  await served.close()
  await poolIdle(pool)
  await reader.close()
})

test('what it had open is rolled back at once, though the handler goes on; its sessions say why they are of no use', async (world) => {
  const goOn = Promise.withResolvers<void>()
  let thrown: unknown
  const served = await serving(world, async (ctx) => {
    const em = ctx.dbSession.writer
    await em.insert(Author, { name: 'before' })
    await goOn.promise
    try {
      await em.insert(Author, { name: 'after' })
    } catch (error) {
      thrown = error
    }
  })
  const exchange = served.open('POST', '/')
  await until(() => world.wire.sql().some((sql) => sql.startsWith('insert')), 'the insert')
  exchange.destroy()
  await poolIdle(world.pools[1]!)
  goOn.resolve()
  await until(() => served.errors.length === 1, 'the error')
  await served.close()
  assert.instance(served.errors[0], ClientDisconnectedError)
  assert.is((thrown as { code: string }).code, 'SQLASSIST_SESSION_ENDED')
  assert.is(await world.look.value('select count(*) from author'), 0)
})

test('a commit that has begun is finished', async (world) => {
  const held = world.wire.hold(/^commit/i, 'request')
  const served = await serving(world, (ctx) => {
    ctx.dbSession.writer.create(Author, { name: 'committed' })
    ctx.status = 201
  })
  const exchange = served.open('POST', '/')
  await held.reached
  exchange.destroy()
  await served.idle()
  held.release()
  await until(async () => (await world.look.value('select count(*) from author')) === 1, 'the commit')
  await served.close()
  await poolIdle(world.pools[1]!)
  assert.equal(served.errors, [])
})

test('abortOnDisconnect: false lets the request finish', async (world) => {
  const goOn = Promise.withResolvers<void>()
  const served = await serving(
    world,
    async (ctx) => {
      await ctx.dbSession.writer.insert(Author, { name: 'one' })
      await goOn.promise
      await ctx.dbSession.writer.insert(Author, { name: 'two' })
      ctx.status = 201
    },
    { abortOnDisconnect: false },
  )
  const exchange = served.open('POST', '/')
  await until(() => world.wire.sql().some((sql) => sql.includes('one')), 'the insert')
  exchange.destroy()
  await served.idle()
  goOn.resolve()
  await until(async () => (await world.look.value('select count(*) from author')) === 2, 'the commit')
  await served.close()
})

test('a request that waits for a connection while its client goes away sends nothing with it', async (world) => {
  const goOn = Promise.withResolvers<void>()
  const served = await serving(world, async (ctx) => {
    await ctx.dbSession.writer.insert(Author, { name: ctx.path })
    await goOn.promise
  })
  const holding = [served.open('POST', '/1'), served.open('POST', '/2')]
  await until(() => world.pools[1]!.totalCount - world.pools[1]!.idleCount === 2, 'the pool to be exhausted')
  const waiting = served.open('POST', '/3')
  await until(() => world.pools[1]!.waitingCount === 1, 'the third to wait')
  waiting.destroy()
  await until(() => served.exchanges.some(({ res }) => res.closed), 'the server to notice')
  world.wire.reset()
  goOn.resolve()
  await Promise.all(holding.map((exchange) => exchange.reply()))
  await until(() => served.errors.length === 1, 'the error')
  await served.close()
  await poolIdle(world.pools[1]!)
  assert.equal(
    world.wire.sql().filter((sql) => sql.includes('/3')),
    [],
  )
  assert.equal(await world.look.rows('select name from author order by name'), [{ name: '/1' }, { name: '/2' }])
})

for (const [title, { handler, disableTransaction = false, told }] of Object.entries({
  'that committed by itself': {
    handler: async (ctx: any, goOn: Promise<void>, ready: () => void) => {
      ctx.dbSession.writer.create(Author, { name: 'paid' })
      await ctx.txn.commit()
      ready()
      await goOn
    },
    told: [],
  },
  'that committed by itself and reads on': {
    handler: async (ctx: any, goOn: Promise<void>, ready: () => void) => {
      ctx.dbSession.writer.create(Author, { name: 'paid' })
      await ctx.txn.commit()
      ready()
      await goOn
      await ctx.dbSession.reader.count(Author)
    },
    told: [/went away after the handler had committed: that stays/],
  },
  'that committed by itself and began again': {
    handler: async (ctx: any, goOn: Promise<void>, ready: () => void) => {
      ctx.dbSession.writer.create(Author, { name: 'paid' })
      await ctx.txn.commit()
      await ctx.tm.begin()
      ctx.dbSession.writer.create(Author, { name: 'lost' })
      ready()
      await goOn
    },
    told: [/went away after the handler had committed: that stays, and nothing else was stored/],
  },
  'that committed its session by itself, with transactions disabled': {
    disableTransaction: true,
    handler: async (ctx: any, goOn: Promise<void>, ready: () => void) => {
      ctx.dbSession.writer.create(Author, { name: 'paid' })
      await ctx.dbSession.writer.commit()
      ready()
      await goOn
    },
    told: [/went away after the handler had committed: that stays/],
  },
})) {
  test(`no abort is reported for a client that leaves a handler ${title}`, async (world) => {
    const [ready, goOn, done] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
    ]
    const work = (ctx: Context) => handler(ctx, goOn.promise, ready.resolve).finally(done.resolve)
    const served = await serving(world, work, { disableTransaction })
    const exchange = served.open('POST', '/')
    await ready.promise
    exchange.destroy()
    await served.idle()
    goOn.resolve()
    await done.promise
    await poolIdle(world.pools[1]!)
    await until(() => served.errors.length >= told.length, 'the error')
    await served.close()
    assert.equal(await world.look.rows('select name from author'), [{ name: 'paid' }])
    assert.is(served.errors.length, told.length, served.errors.join())
    for (const [index, pattern] of told.entries()) assert.match(served.errors[index]?.message ?? '', pattern)
  })
}

test('no abort is reported for a client that leaves a handler whose own commit is under way', async (world) => {
  const held = world.wire.hold(/^commit/i, 'request')
  const done = Promise.withResolvers<void>()
  const served = await serving(world, async (ctx) => {
    ctx.dbSession.writer.create(Author, { name: 'paid' })
    await ctx.txn.commit()
    done.resolve()
  })
  const exchange = served.open('POST', '/')
  await held.reached
  exchange.destroy()
  await served.idle()
  held.release()
  await done.promise
  await poolIdle(world.pools[1]!)
  await served.close()
  assert.equal(await world.look.rows('select name from author'), [{ name: 'paid' }])
  assert.equal(served.errors, [])
})

test.run()
