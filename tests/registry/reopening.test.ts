/** The pool of a role is dropped while units use it: they end over the old one, and the others get the new one. */
import * as assert from 'uvu/assert'
import { ConnectionDeadlockError, EngineRegistry, RegistryClosedError, type EngineOptions } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { DIALECTS, poolOf } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { until } from '../support/until.ts'

type Any = any

const ROLES: Readonly<Record<string, Omit<EngineOptions, 'orm'>>> = {
  'a joined role': {},
  'an autonomous role': { commit: 'autonomous' },
  'an autocommit role': { commit: 'autocommit' },
  'a role that pipelines its commit': { pipelineCommit: true },
}
const DROPS = ['reinit', 'dispose'] as const

for (const dialect of DIALECTS) {
  const isPostgres = dialect === 'postgresql'
  const test = databaseSuite(`a pool that is dropped, on ${dialect}`, dialect, { poolMax: 2 })
  const registryOf = (orm: Any, options: Omit<EngineOptions, 'orm'> = {}) =>
    new EngineRegistry<Any>({ role: { orm, ...options } }, { recover: false })
  const insert = (name: string) => (em: Any) => em.insert(Author, { name })
  const run = async (registry: EngineRegistry<Any>, work: (em: Any) => unknown): Promise<unknown> =>
    await registry.run(({ dbSession }: Any) => work(dbSession.role))
  const names = async (look: Any) =>
    (await look.rows('select name from author order by name')).map(({ name }: Any) => name)

  /** No old pool is open. SQLite has one handle, without which nothing is read. */
  async function assertOnePool(orm: Any, look: Any): Promise<void> {
    const pool = isPostgres ? await poolOf(orm) : undefined
    const others = `select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
    await until(
      async () => pool === undefined || (await look.value(others)) === pool.totalCount,
      'the old pools to be closed',
    )
  }

  /** A run that has sent a statement, and goes on when that is said. */
  function underWay(registry: EngineRegistry<Any>, first: (em: Any) => unknown, then: (em: Any) => unknown) {
    const begun = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const done = run(registry, async (em) => {
      await first(em)
      begun.resolve()
      await goOn.promise
      await then(em)
    })
    done.catch(begun.reject)
    return { begun: begun.promise, goOn: () => goOn.resolve(), done }
  }

  for (const [kind, options] of Object.entries(ROLES)) {
    if (options.pipelineCommit === true && !isPostgres) continue
    for (const drop of DROPS) {
      test(`${drop}() spoils neither a unit of ${kind} nor those that start meanwhile`, async ({ orm, look }) => {
        const registry = registryOf(orm, options)
        const first = underWay(registry, insert('one'), insert('two'))
        await first.begun
        const dropping = registry[drop]()
        const later = [
          run(registry, insert('three')),
          run(registry, insert('four')),
          run(registry, (em) => em.count(Author)),
        ]
        if (isPostgres) await Promise.all(later)
        first.goOn()
        await Promise.all([first.done, dropping, ...later])
        await run(registry, insert('five'))
        assert.equal(await names(look), ['five', 'four', 'one', 'three', 'two'])
      })

      test(`${drop}() in a unit of ${kind} does not wait for that unit`, async ({ orm, look }) => {
        const registry = registryOf(orm, options)
        await run(registry, async (em) => {
          await em.insert(Author, { name: 'one' })
          await registry[drop]()
          await em.insert(Author, { name: 'two' })
        })
        await run(registry, insert('three'))
        assert.equal(await names(look), ['one', 'three', 'two'])
        await assertOnePool(orm, look)
      })

      test(`${drop}() in a unit that another of ${kind} waits for does not wait for that one`, async ({
        orm,
        look,
      }) => {
        const registry = registryOf(orm, options)
        await run(registry, async (em) => {
          await em.insert(Author, { name: 'one' })
          await registry.run(() => registry[drop]())
        })
        await run(registry, insert('two'))
        assert.equal(await names(look), ['one', 'two'])
      })
    }
  }

  for (const drop of DROPS) {
    test(`${drop}() does not wait for a session in use outside of units`, async ({ orm, look }) => {
      const registry = registryOf(orm)
      await using em: Any = registry.session('role')
      await em.insert(Author, { name: 'one' })
      await registry[drop]()
      await em.commit()
      assert.equal(await names(look), ['one'])
    })

    test(`a transaction of em.transactional() under way in an autocommit role ends over the old pool of ${drop}()`, async ({
      orm,
      look,
    }) => {
      const registry = registryOf(orm, { commit: 'autocommit' })
      const begun = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      const first = run(registry, (em) =>
        em.transactional(async (own: Any) => {
          await own.insert(Author, { name: 'one' })
          begun.resolve()
          await goOn.promise
          await own.insert(Author, { name: 'two' })
        }),
      )
      await begun.promise
      const dropping = registry[drop]()
      const second = run(registry, insert('three'))
      goOn.resolve()
      await Promise.all([first, dropping, second])
      assert.equal(await names(look), ['one', 'three', 'two'])
    })

    test(`a session outside of units goes on behind ${drop}()`, async ({ orm, look }) => {
      const registry = registryOf(orm)
      await using em: Any = registry.session('role')
      await em.insert(Author, { name: 'one' })
      const dropping = registry[drop]()
      await em.insert(Author, { name: 'two' })
      await em.commit()
      await dropping
      await em.insert(Author, { name: 'three' })
      em.create(Author, { name: 'four' })
      await em.commit()
      assert.equal(await names(look), ['four', 'one', 'three', 'two'])
    })

    test(`readers and the entity manager of the ORM find the new pool during ${drop}()`, async ({ orm }) => {
      const registry = registryOf(orm, { readOnly: true })
      const count = (): Promise<number> => orm.em.fork().count(Author)
      const reads = Array.from({ length: 5 }, () => [run(registry, (em) => em.count(Author)), count()]).flat()
      const dropping = registry[drop]()
      const more = Array.from({ length: 5 }, () => [run(registry, (em) => em.count(Author)), count()]).flat()
      assert.equal(new Set(await Promise.all([...reads, ...more])), new Set([0]))
      await dropping
    })
  }

  if (!isPostgres) {
    test('a unit in a unit that holds the handle to be replaced is refused, and does not wait for ever', async ({
      orm,
      look,
    }) => {
      const registry = registryOf(orm)
      const error = await rejection(
        run(registry, async (em) => {
          await em.insert(Author, { name: 'one' })
          await registry.reinit()
          await run(registry, insert('two'))
        }),
      )
      assert.instance(error, ConnectionDeadlockError)
      await run(registry, insert('three'))
      assert.equal(await names(look), ['three'])
    })
  }

  test('several at once leave one pool that works', async ({ orm, look }) => {
    const registry = registryOf(orm)
    const first = underWay(registry, insert('one'), insert('two'))
    await first.begun
    const dropping = Promise.all([registry.reinit(), registry.dispose(), registry.reinit(), registry.reinit()])
    const later = run(registry, insert('three'))
    first.goOn()
    await Promise.all([first.done, dropping, later])
    await run(registry, insert('four'))
    assert.equal(await names(look), ['four', 'one', 'three', 'two'])
    await assertOnePool(orm, look)
  })

  test('units without end behind each other do not keep it from being dropped', async ({ orm }) => {
    const registry = registryOf(orm)
    const dropped = new AbortController()
    const busy = Array.from({ length: 4 }, async () => {
      while (!dropped.signal.aborted) await run(registry, (em) => em.count(Author))
    })
    await registry.reinit()
    await registry.dispose()
    await registry.reinit()
    dropped.abort()
    await Promise.all(busy)
  })

  if (isPostgres) {
    test('those who wait for a connection of the old pool get it', async ({ orm, look }) => {
      const registry = registryOf(orm)
      const holders = [underWay(registry, insert('a'), insert('b')), underWay(registry, insert('c'), insert('d'))]
      for (const { begun } of holders) await begun
      const pool = await poolOf(orm)
      const waiting = run(registry, insert('e'))
      await until(() => pool.waitingCount === 1, 'a statement to wait')
      const dropping = registry.reinit()
      for (const { goOn } of holders) goOn()
      await Promise.all([waiting, dropping, ...holders.map(({ done }) => done)])
      assert.equal(await names(look), ['a', 'b', 'c', 'd', 'e'])
      assert.is(pool.totalCount, 0)
    })
  }

  if (isPostgres) {
    test('a stream under way is read to its end', async ({ orm, look }) => {
      await look.rows(`insert into book (title) select 'book ' || i from generate_series(1, 500) i`)
      const registry = registryOf(orm, { readOnly: true })
      let count = 0
      await run(registry, async (em) => {
        for await (const _ of em.stream(Book)) {
          count++
          if (count === 1) await registry.reinit()
        }
      })
      assert.is(count, 500)
    })
  }

  if (!isPostgres) {
    test('what a connection is set up with is there from the first statement', async ({ orm }) => {
      const registry = registryOf(orm)
      const pragma = async (em: Any) => (await em.execute('pragma foreign_keys'))[0].foreign_keys
      const first = underWay(registry, pragma, pragma)
      await first.begun
      const dropping = registry.reinit()
      const later = run(registry, pragma)
      first.goOn()
      assert.is(await later, 1)
      await Promise.all([first.done, dropping])
    })
  }

  test.run()

  const closed = databaseSuite(`a pool that is dropped as its registry is closed, on ${dialect}`, dialect)

  closed('stays closed', async ({ orm, look }) => {
    const registry = registryOf(orm)
    const first = underWay(registry, insert('one'), insert('two'))
    await first.begun
    const dropping = registry.reinit()
    const closing = registry.close()
    first.goOn()
    await Promise.all([first.done, dropping, closing])
    assert.is(await orm.isConnected(), false)
    assert.instance(await rejection(registry.reinit()), RegistryClosedError)
    await registry.dispose()
    assert.is(await orm.isConnected(), false)
    assert.equal(await names(look), ['one', 'two'])
  })

  closed('is closed in time where a session keeps the old one', async ({ orm, look }) => {
    await orm.connect()
    const registry = new EngineRegistry<Any>({ role: orm }, { recover: false, closeTimeoutMs: 50 })
    const em: Any = registry.session('role')
    await em.insert(Author, { name: 'lost' })
    const dropping = registry.reinit().catch(() => undefined)
    assert.match((await rejection(registry.close())).message, /registry\.session\("role"\)/)
    await dropping
    assert.is(await orm.isConnected(), false)
    assert.equal(await names(look), [])
  })

  closed.run()
}
