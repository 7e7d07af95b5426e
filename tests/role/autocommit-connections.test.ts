/** The connections of a role that commits every statement come back, also where MikroORM or Kysely would keep them. */
import * as assert from 'uvu/assert'
import { raw } from '@mikro-orm/core'
import { EngineRegistry } from '../../source/index.ts'
import { clearTables } from '../support/authors.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { DIALECTS, openOrm, poolOf } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openGated, type Gated } from '../support/wired.ts'

type Em = any

const test = suite<Gated>('connections of an autocommit role')

test.before(async (world) => {
  Object.assign(world, await openGated({ poolMax: 2 }))
})
test.before.each(async ({ gate, look, wire }) => {
  await clearTables(look)
  await look.rows(`insert into book (title) select 'book ' || i from generate_series(1, 500) i`)
  await gate.rows('select pg_advisory_lock(1)')
  wire.reset()
})
test.after.each(async ({ gate }) => void (await gate.rows('select pg_advisory_unlock_all()')))
test.after(({ close }) => close())

const registryOf = ({ orm }: Gated) => new EngineRegistry<any>({ logger: { orm, commit: 'autocommit' } })
const WAITS = `pid in (select l.pid from pg_locks l join pg_database d on d.oid = l.database
  where not granted and datname = current_database())`
const WAIT = 'select pg_advisory_xact_lock_shared(1)'

/** Ends the backends of which that holds. */
async function terminate({ look }: Gated, which = WAITS): Promise<void> {
  const ending = `select pg_terminate_backend(pid) from pg_stat_activity where application_name <> 'second look' and
    datname = current_database() and ${which}`
  await until(async () => (await look.rows(ending)).length > 0, 'a backend to end')
}

const LOST: Readonly<Record<string, (em: Em) => unknown>> = {
  'a flush': (em) => em.create(Author, { name: 'x' }),
  'an insert': (em) => em.insert(Author, { name: 'x' }),
  'raw SQL': (em) => em.execute(WAIT),
  Kysely: (em) => em.getKysely().insertInto('author').values({ name: 'x' }).execute(),
  'em.transactional()': (em) => em.transactional((own: Em) => own.execute(WAIT)),
  'one inside another': (em) =>
    em.transactional((own: Em) => own.transactional((inner: Em) => inner.insert(Author, { name: 'x' }))),
  'em.begin() and nothing else': async (em) => {
    await em.begin()
    await em.execute(WAIT)
  },
  'em.begin() and em.rollback()': async (em) => {
    await em.begin()
    await em.execute(WAIT).finally(() => em.rollback())
  },
}
for (const [what, work] of Object.entries(LOST)) {
  test(`${what} whose backend is ended gives its connection back, closed`, async (world) => {
    const registry = registryOf(world)
    const pool = await poolOf(world.orm)
    for (let i = 0; i < 3; i++) {
      const run = rejection(registry.run(({ dbSession }: Em) => work(dbSession.logger)))
      await terminate(world)
      await run
    }
    await poolIdle(pool)
    assert.is(pool.totalCount, 0)
  })
}

for (const [what, stream] of [
  ['em.stream()', (em: Em) => em.stream(Book)],
  ['a stream of Kysely', (em: Em) => em.getKysely().selectFrom('book').selectAll().stream(10)],
] as const) {
  test(`${what} whose backend is ended fails, and gives its connection back`, async (world) => {
    const registry = registryOf(world)
    const pool = await poolOf(world.orm)
    for (let i = 0; i < 3; i++) {
      const error = await rejection(
        registry.run(async ({ dbSession }: Em) => {
          let isFirst = true
          for await (const _ of stream(dbSession.logger)) {
            if (isFirst) await terminate(world, `state = 'active'`)
            isFirst = false
          }
        }),
      )
      assert.is((error as Em).code, 'SQLASSIST_CONNECTION_LOST')
    }
    await poolIdle(pool)
  })
}

test('a statement that pg gives up, and its ROLLBACK with it, leave no connection in a transaction', async (world) => {
  const config = { driverOptions: { query_timeout: 100 } }
  const orm = await openOrm(world.target, { poolMax: 1, hasSchema: true, config })
  const registry = new EngineRegistry<any>({ logger: { orm, commit: 'autocommit' } })
  for (let i = 0; i < 3; i++) {
    const error = await rejection(registry.run(({ dbSession }: Em) => dbSession.logger.create(Author, { name: 'x' })))
    assert.match(error.message, /read timeout/)
  }
  await poolIdle(await poolOf(orm))
  await registry.close()
})

for (const strategy of ['cancel query', 'kill session'] as const) {
  test(`a statement given up by '${strategy}' is cancelled by the key of its connection`, async (world) => {
    const { orm, wire, look } = world
    wire.inventBackends((real) => real + 100_000)
    await orm.close()
    await orm.connect()
    const gone = new AbortController()
    const fork = { signal: gone.signal, inflightQueryAbortStrategy: strategy }
    const registry = new EngineRegistry<any>({ logger: { orm, commit: 'autocommit', fork } })
    const run = rejection(registry.run(({ dbSession }: Em) => dbSession.logger.create(Author, { name: 'x' })))
    const waiting = `select 1 from pg_stat_activity where ${WAITS}`
    await until(async () => (await look.rows(waiting)).length === 1, 'the statement to wait')
    gone.abort(new Error('given up'))
    await run
    await poolIdle(await poolOf(orm))
    assert.is((await look.rows(waiting)).length, 0)
    assert.equal([wire.cancels, wire.sql().filter((sql) => sql.includes('pg_'))], [1, []])
    wire.inventBackends((real) => real)
  })
}

test.run()

for (const dialect of DIALECTS) {
  const both = databaseSuite(`connections of an autocommit role on ${dialect}`, dialect, { poolMax: 1 })
  const isSqlite = dialect === 'sqlite'

  both.before(async ({ look }) => {
    if (isSqlite) {
      await look.rows(`create trigger refuse before insert on author when new.name = 'bad'
        begin select raise(rollback, 'no'); end`)
    }
  })

  const run = async (orm: Em, work: (em: Em) => unknown): Promise<unknown> =>
    await new EngineRegistry<any>({ logger: { orm, commit: 'autocommit' } }).run(({ dbSession }: Em) =>
      work(dbSession.logger),
    )

  both('a BEGIN that fails gives its connection back', async ({ orm, look }) => {
    const begin = isSqlite
      ? async (em: Em) => {
          // Now there is a transaction already.
          await em.execute('begin')
          await em.transactional(() => undefined).finally(() => em.execute('rollback'))
        }
      : (em: Em) => em.transactional(() => undefined, { isolationLevel: 'serializable, snapshot' })
    for (let i = 0; i < 2; i++) await rejection(run(orm, begin))
    await run(orm, (em) => em.insert(Author, { name: 'served' }))
    assert.is(await look.value('select count(*) from author'), 1)
  })

  both(
    'a transaction that em.begin() has begun and nobody ended is rolled back, and its unit fails',
    async ({ orm, look }) => {
      for (let i = 0; i < 2; i++) {
        const error: Em = await rejection(
          run(orm, async (em) => {
            await em.begin()
            await em.insert(Author, { name: 'left' })
          }),
        )
        assert.is(error.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
        assert.match(error.message, /em\.begin\(\) is open.*em\.commit\(\) or em\.rollback\(\)/)
      }
      await run(orm, async (em) => {
        await em.begin()
        await em.insert(Author, { name: 'kept' })
        await em.commit()
      })
      assert.equal(await look.rows('select name from author'), [{ name: 'kept' }])
    },
  )

  both('one whose flush fails is over: after em.rollback() the session goes on', async ({ orm, look }) => {
    await run(orm, async (em) => {
      await em.begin()
      await em.insert(Author, { name: 'undone' })
      em.create(Book, { title: raw<never>('nothing of that name') })
      await rejection(em.flush())
      await em.rollback()
      await em.insert(Author, { name: 'kept' })
    })
    assert.equal(await look.rows('select name from author'), [{ name: 'kept' }])
  })

  both('a session of the registry that is closed rolls it back', async ({ orm, look }) => {
    const em: Em = new EngineRegistry<any>({ logger: { orm, commit: 'autocommit' } }).session('logger')
    await em.begin()
    await em.insert(Author, { name: 'left' })
    await em.close()
    await run(orm, (next) => next.insert(Author, { name: 'served' }))
    assert.equal(await look.rows('select name from author'), [{ name: 'served' }])
  })

  if (isSqlite) {
    both(
      'a ROLLBACK that comes too late, since the statement has rolled back, gives the connection back',
      async ({ orm, look }) => {
        for (let i = 0; i < 2; i++) await rejection(run(orm, (em) => em.create(Author, { name: 'bad' })))
        await run(orm, (em) => em.insert(Author, { name: 'served' }))
        assert.equal(await look.rows('select name from author'), [{ name: 'served' }])
      },
    )
  }

  both.run()
}
