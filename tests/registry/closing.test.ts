/** The end of a registry: everything is closed, whatever is open or fails. */
import * as assert from 'uvu/assert'
import Koa from 'koa'
import { ConfigurationError, dbSessions, EngineRegistry, NotRetriedError } from '../../source/index.ts'
import { suiteOfTwo, type DatabaseWorld, type TwoDatabases } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'

type Any = any

/** An error that is worth another attempt. */
const failure = () => Object.assign(new Error('could not serialize access'), { code: '40001' })

for (const dialect of DIALECTS) {
  const isPostgres = dialect === 'postgresql'
  const test = suiteOfTwo(`a registry that is closed, on ${dialect}`, dialect, true)

  const registryOf = ({ a, b }: TwoDatabases, closeTimeoutMs?: number) =>
    new EngineRegistry<Any>({ one: { orm: a.orm, default: true }, two: b.orm }, { closeTimeoutMs, recover: false })

  async function assertClosed({ orm, look }: DatabaseWorld): Promise<void> {
    assert.is(await orm.isConnected(), false)
    if (!isPostgres) return
    const others = `select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
    await until(async () => (await look.value(others)) === 0, 'no connection to be left')
  }

  /** Has the ORM of a database fail to close, until that is undone. */
  function failing({ orm }: DatabaseWorld, message: string): () => void {
    const { close } = orm
    orm.close = () => Promise.reject(new Error(message))
    return () => void (orm.close = close)
  }

  test('closes all pools, also behind one that fails to close, and throws the first error', async (world) => {
    const registry = registryOf(world)
    await registry.run(({ dbSession }: Any) => dbSession.two.insert(Author, { name: 'x' }))
    const restore = failing(world.a, 'this one does not close')
    const error = await rejection(registry.close())
    restore()
    assert.is(error.message, 'this one does not close')
    await assertClosed(world.b)
  })

  test('warns of the errors behind the first one', async (world) => {
    const registry = registryOf(world)
    const restores = [failing(world.a, 'the first'), failing(world.b, 'the second')]
    const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
      assert.is((await rejection(registry.close())).message, 'the first')
    })
    for (const restore of restores) restore()
    assert.match(seen.map(({ message }) => message).join(), /the second/)
  })

  test('names the session that nobody closed, rolls it back and closes its connection', async (world) => {
    const registry = registryOf(world, 50)
    const em: Any = registry.session('two')
    await em.insert(Author, { name: 'lost' })
    const error: Any = await rejection(registry.close())
    assert.is(error.code, 'SQLASSIST_CLOSE_TIMEOUT')
    assert.match(error.message, /waited 50 ms, and still open were: registry\.session\("two"\), .*role "two"\./)
    assert.not.match(error.message, /"one"/)
    await assertClosed(world.a)
    await assertClosed(world.b)
    assert.is((await rejection(em.insert(Author, { name: 'late' }))).message.includes('the registry was closed'), true)
    assert.equal(await world.b.look.rows('select name from author'), [])
  })

  test('waits for a session that is closed in time, and for none that holds nothing', async (world) => {
    const registry = registryOf(world)
    const em: Any = registry.session('two')
    const unused: Any = registry.session('one')
    await em.insert(Author, { name: 'kept' })
    const closing = registry.close()
    await em.insert(Author, { name: 'kept as well' })
    await em.commit()
    await em.close()
    await closing
    await assertClosed(world.b)
    await unused.close()
    assert.is(Number(await world.b.look.value('select count(*) from author')), 2)
  })

  test('names a session of an autocommit role in a transaction that the program has begun', async ({
    b: { orm, look },
  }) => {
    const registry = new EngineRegistry<Any>({ two: { orm, commit: 'autocommit' } }, { closeTimeoutMs: 50 })
    const em: Any = registry.session('two')
    await em.begin()
    await em.insert(Author, { name: 'lost' })
    const error = await rejection(registry.close())
    assert.match(error.message, /still open were: registry\.session\("two"\)/)
    assert.equal(await look.rows('select name from author'), [])
  })

  // SQLite reads all rows at once.
  const onPostgres = isPostgres ? test : () => undefined
  onPostgres('names a stream that is open', async (world) => {
    await world.b.look.rows(`insert into book (title) select 'book ' || i from generate_series(1, 500) i`)
    const registry = new EngineRegistry<Any>({ two: { orm: world.b.orm, readOnly: true } }, { closeTimeoutMs: 50 })
    const em: Any = registry.session('two')
    const rows = em.stream(Book)
    await rows.next()
    const error = await rejection(registry.close())
    assert.match(error.message, /a stream of registry\.session\("two"\)/)
    await assertClosed(world.b)
    await rejection(rows.next())
  })

  test('names the unit that does not end, and closes its connection, which leaves nothing of it', async (world) => {
    const registry = registryOf(world, 50)
    const goOn = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const run = rejection(
      registry.run(async ({ dbSession: { two } }: Any) => {
        await two.insert(Author, { name: 'lost' })
        begun.resolve()
        await goOn.promise
        await two.insert(Author, { name: 'late' })
      }),
    )
    await begun.promise
    const error = await rejection(registry.close())
    assert.match(error.message, /still open were: 1 unit of work, connections of role "two"\./)
    await assertClosed(world.a)
    await assertClosed(world.b)
    goOn.resolve()
    await run
    assert.equal(await world.b.look.rows('select name from author'), [])
  })

  const KINDS: Any = {
    'a role that writes': {},
    'a read-only role': { readOnly: true },
    'a role that commits each statement': { commit: 'autocommit' },
  }
  for (const [kind, options] of Object.entries(KINDS)) {
    const registryOfOne = ({ b: { orm } }: TwoDatabases) =>
      new EngineRegistry<Any>({ two: { orm, ...(options as object) } }, { closeTimeoutMs: 50, recover: false })

    test(`opens nothing again for a unit that goes on, with ${kind}`, async (world) => {
      const registry = registryOfOne(world)
      const goOn = Promise.withResolvers<void>()
      const run = rejection(
        registry.run(async ({ dbSession }: Any) => {
          await goOn.promise
          await dbSession.two.find(Author, {})
        }),
      )
      assert.match((await rejection(registry.close())).message, /still open were: 1 unit of work/)
      goOn.resolve()
      assert.is(((await run) as Any).code, 'SQLASSIST_REGISTRY_CLOSED')
      await assertClosed(world.b)
    })

    test(`opens nothing again for a session that nobody closed, with ${kind}`, async (world) => {
      const registry = registryOfOne(world)
      const em: Any = registry.session('two')
      await registry.close()
      assert.is(((await rejection(em.find(Author, {}))) as Any).code, 'SQLASSIST_REGISTRY_CLOSED')
      await assertClosed(world.b)
      await em.close()
    })
  }

  test('has one outcome for all that close it, also at the end of a scope', async (world) => {
    const registry = registryOf(world)
    const restore = failing(world.a, 'does not close')
    const closings = [registry.close(), registry.close(), registry[Symbol.asyncDispose]()]
    const errors = await Promise.all(closings.map((closing) => rejection(closing)))
    restore()
    assert.is(new Set(errors).size, 1)
    assert.is(errors[0]?.message, 'does not close')
    await assertClosed(world.b)
  })

  test('keeps the error of a run that has no other attempt any more', async (world) => {
    const registry = registryOf(world)
    const real = failure()
    let closing: Promise<void> | undefined
    const work = (): never => {
      closing = registry.close()
      throw real
    }
    const error = await rejection(registry.run(work, { attempts: 2 }))
    await closing
    assert.instance(error, NotRetriedError)
    assert.is(error.cause, real)
    assert.match(error.message, /could not serialize access — .* another attempt could not begin: .*closed or closing/)
  })

  test('keeps the error of a request that has no other attempt any more', async (world) => {
    const registry = registryOf(world)
    const real = failure()
    let closing: Promise<void> | undefined
    const app = new Koa()
    const seen: unknown[] = []
    app.on('error', (error: unknown) => seen.push(error))
    const downstream = (): never => {
      closing = registry.close()
      throw real
    }
    app.use(dbSessions(registry, { attempts: 2 }, downstream))
    const served = await serve(app)
    assert.is((await served.request('GET', '/')).status, 500)
    await served.close()
    await closing
    assert.is((seen[0] as Any).cause, real)
  })

  test('refuses a time to wait that is none', ({ a }) => {
    for (const closeTimeoutMs of [-1, Infinity, NaN, '5' as Any]) {
      assert.throws(
        () => new EngineRegistry({ writer: a.orm }, { closeTimeoutMs }),
        (error: unknown) => error instanceof ConfigurationError && /closeTimeoutMs is/.test(error.message),
      )
    }
  })

  test.run()
}
