import * as assert from 'uvu/assert'
import { EventEmitter } from 'node:events'
import {
  EngineRegistry,
  PartialCommitError,
  RegistryClosedError,
  SharedFileError,
  TransactionsDisabledError,
  UnitOfWorkEndedError,
  type DataManager,
  type EngineOptions,
} from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { Author, Book } from '../support/entities.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS, openDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'

type Database = Awaited<ReturnType<typeof openDatabase>>

interface World {
  a: Database
  b: Database
  c: Database
}

const names = (look: SecondLook): Promise<unknown[]> => authorNames(look, 'name')

for (const dialect of DIALECTS) {
  const test = suite<World>(`units of work on ${dialect}`)

  test.before(async (world) => {
    world.a = await openDatabase(dialect)
    world.b = await openDatabase(dialect)
    world.c = await openDatabase(dialect)
  })
  test.before.each(async ({ a, b, c }) => {
    for (const { look } of [a, b, c]) {
      await look.rows('delete from book')
      await look.rows('delete from author')
    }
  })
  test.after(async ({ a, b, c }) => {
    for (const each of [a, b, c]) await each.close()
  })

  const put = (em: any, name: string) => em.persist(em.create(Author, { name }))

  test('run commits what the work did, gives its result, and aborts all roles when it throws', async ({ a, b }) => {
    const registry = new EngineRegistry({ writer: a.orm, other: b.orm })
    const result = await registry.run(function nightly({ dbSession, txn }) {
      put(dbSession.writer, 'kept')
      put(dbSession.other, 'kept')
      return txn.description
    })
    assert.is(result, 'nightly')
    const error = await rejection(
      registry.run(({ dbSession }) => {
        put(dbSession.writer, 'lost')
        put(dbSession.other, 'lost')
        throw new Error('no')
      }),
    )
    assert.is(error.message, 'no')
    assert.equal([await names(a.look), await names(b.look)], [['kept'], ['kept']])
  })

  test('a run that doomed its transaction gives its result and leaves nothing, as a request does', async ({ a, b }) => {
    const registry = new EngineRegistry({ writer: a.orm, log: { orm: b.orm, commit: 'autonomous' } })
    const result = await registry.run(async ({ dbSession, txn }) => {
      txn.doom()
      put(dbSession.writer, 'doomed')
      put(dbSession.log, 'stays')
      await dbSession.writer.flush()
      return await dbSession.writer.count(Author)
    })
    assert.is(result, 1)
    assert.equal([await names(a.look), await names(b.look)], [[], ['stays']])
  })

  test('a nested run is a unit of its own', async ({ a, b }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const inner = new EngineRegistry({ inner: b.orm })
    const error = await rejection(
      registry.run(async ({ dbSession }) => {
        put(dbSession.writer, 'outer')
        await inner.run(async ({ dbSession: innerSession }) => {
          put(innerSession.inner, 'inner')
          put(a.orm.em, 'outer by way of the global one')
        })
        throw new Error('outer fails')
      }),
    )
    assert.is(error.message, 'outer fails')
    assert.equal([await names(a.look), await names(b.look)], [[], ['inner']])
  })

  test('the global orm.em is the session of the unit, through everything asynchronous, and of none outside', async ({
    a,
  }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const global: any = a.orm.em
    await registry.run(async ({ dbSession }) => {
      const here = (): void => assert.is(global.getContext(false), dbSession.writer)
      here()
      await new Promise<void>((resolve) => setImmediate(() => resolve(here())))
      await Promise.all([1, 2, 3].map(async () => here()))
      const emitter = new EventEmitter()
      emitter.once('now', here)
      emitter.emit('now')
      await global.transactional(async (em: any) => {
        assert.is(global.getContext(false), em)
        put(global, 'nested')
      })
      put(global, 'global')
    })
    assert.is(global.getContext(false), global)
    assert.equal(await names(a.look), ['global', 'nested'])
  })

  test('two runs at once have sessions of their own', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const managers = new Set<unknown>()
    await Promise.all(
      ['one', 'two', 'three'].map((name) =>
        registry.run(async () => {
          managers.add((a.orm.em as any).getContext(false))
          put(a.orm.em, name)
        }),
      ),
    )
    assert.is(managers.size, 3)
    assert.equal(await names(a.look), ['one', 'three', 'two'])
  })

  test('the global orm.em is the session in a before-commit hook, and itself again in an after-commit hook', async ({
    a,
  }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const global: any = a.orm.em
    const seen: unknown[] = []
    await registry.run(({ dbSession, txn }) => {
      const em = dbSession.writer
      txn.addBeforeCommitHook(() => {
        seen.push(global.getContext(false) === em)
        put(global, 'by the hook')
      })
      txn.addAfterCommitHook(async () => {
        seen.push(global.getContext(false) === global)
        await registry.run(({ dbSession: later }) => put(later.writer, 'after the commit'))
      })
    })
    assert.equal(seen, [true, true])
    assert.equal(await names(a.look), ['after the commit', 'by the hook'])
  })

  test('scoped: false leaves the global orm.em alone', async ({ a }) => {
    await new EngineRegistry({ writer: { orm: a.orm, scoped: false } }).run(async ({ dbSession }) => {
      assert.is((a.orm.em as any).getContext(false), a.orm.em)
      assert.is(await a.orm.em.fork().count(Author), 0)
      put(dbSession.writer, 'x')
    })
    assert.equal(await names(a.look), ['x'])
  })

  test('code that outlives its unit finds no session, and says so', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    let container: any
    const later = Promise.withResolvers<void>()
    const floating: Promise<Error>[] = []
    await registry.run(async ({ dbSession }) => {
      container = dbSession
      const global: any = a.orm.em
      for (const use of [
        () => global.insert(Author, { name: 'stored beside everything' }),
        () => global.create(Author, { name: 'never flushed' }),
        () => global.getRepository(Author).count(),
        () => global.transactional(() => undefined),
      ]) {
        floating.push(rejection(later.promise.then(use)))
      }
    })
    assert.throws(
      () => container.writer,
      (error: unknown) => error instanceof UnitOfWorkEndedError,
    )
    later.resolve()
    for (const error of await Promise.all(floating)) {
      assert.instance(error, UnitOfWorkEndedError)
      assert.match(error.message, /"writer" was asked for after its request or run had ended.*registry\.run\(\)/)
    }
    assert.equal(await names(a.look), [])
  })

  test('a session outside of any unit commits and rolls back by its own word, and is closed by its caller', async ({
    a,
  }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    {
      await using session = registry.session('writer')
      const em: any = session
      put(em, 'one')
      await em.commit()
      put(em, 'two')
      await em.flush()
      await em.rollback()
      put(em, 'three')
      await em.commit()
      put(em, 'left open')
      await em.flush()
    }
    assert.equal(await names(a.look), ['one', 'three'])
    const closed: any = registry.session('writer')
    await closed.close()
    assert.throws(() => closed.clear(), /"writer" was used after it ended \(it was closed\)/)
    await ormsIdle(a.orm)
  })

  test('a signal aborts a run with its reason', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const controller = new AbortController()
    const error = await rejection(
      registry.run(
        async ({ dbSession }) => {
          await put(dbSession.writer, 'x').flush()
          controller.abort(new Error('enough'))
          await (dbSession.writer as any).count(Author)
        },
        { signal: controller.signal },
      ),
    )
    assert.is(error.message, 'enough')
    assert.is((await rejection(registry.run(() => undefined, { signal: controller.signal }))).message, 'enough')
    assert.equal(await names(a.look), [])
  })

  for (const commit of ['autonomous', 'autocommit'] as const) {
    test(`a role with commit: '${commit}' commits after the joined ones, also after an abort`, async ({ a, b }) => {
      const registry = new EngineRegistry({ writer: a.orm, log: { orm: b.orm, commit } })
      const work = (fails: boolean) =>
        registry.run(async ({ dbSession, txn }) => {
          put(dbSession.writer, 'x')
          put(dbSession.log, `fails: ${fails}`)
          txn.addAfterCommitHook(async (committed: boolean) => {
            put(dbSession.log, `committed: ${committed}`)
          })
          if (fails) throw new Error('no')
        })
      await work(false)
      await rejection(work(true))
      assert.equal(
        [await names(a.look), await names(b.look)],
        [['x'], ['committed: true', 'fails: false', 'fails: true']],
      )
    })

    test(`a role with commit: '${commit}' that fails to commit fails the run, or warns when it is bestEffort`, async ({
      a,
      b,
    }) => {
      const failing = (bestEffort: boolean) =>
        new EngineRegistry({ writer: a.orm, log: { orm: b.orm, commit, bestEffort } }).run(({ dbSession }) => {
          put(dbSession.writer, 'kept')
          const log: any = dbSession.log
          log.persist([log.create(Book, { title: 'same' }), log.create(Book, { title: 'same' })])
        })
      assert.is((await rejection(failing(false))).name, 'UniqueConstraintViolationException')
      const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', () => failing(true))
      assert.is(seen.length, 1)
      assert.match(seen[0]!.message, /best-effort role "log" could not commit/)
      assert.equal([await names(a.look), await names(b.look)], [['kept', 'kept'], []])
    })
  }

  test('an autocommit role commits every statement and flush by itself', async ({ a }) => {
    await new EngineRegistry({ log: { orm: a.orm, commit: 'autocommit' } }).run(async ({ dbSession }) => {
      const em: any = dbSession.log
      await em.insert(Author, { name: 'at once' })
      assert.equal(await names(a.look), ['at once'])
      await put(em, 'by flush').flush()
      assert.equal(await names(a.look), ['at once', 'by flush'])
      await em.transactional(async (nested: any) => void (await nested.insert(Author, { name: 'in its own' })))
      assert.equal(await names(a.look), ['at once', 'by flush', 'in its own'])
    })
  })

  const disabled = (engines: Record<string, EngineOptions | TestOrm>) =>
    new EngineRegistry(engines as Record<string, TestOrm>, { disableTransaction: true })

  test('disabled: sessions commit one by one in the order they were opened; an error rolls all of them back', async ({
    a,
    b,
    c,
  }) => {
    const registry = disabled({ a: a.orm, b: b.orm, c: c.orm })
    await registry.run(({ dbSession }) => {
      for (const role of ['c', 'a', 'b']) put(dbSession[role], 'x')
    })
    await rejection(
      registry.run(({ dbSession }) => {
        for (const role of ['c', 'a', 'b']) put(dbSession[role], 'y')
        throw new Error('no')
      }),
    )
    for (const { look } of [a, b, c]) assert.equal(await names(look), ['x'])
  })

  test('disabled: when one of three fails, the error names what was committed and what was not', async ({
    a,
    b,
    c,
  }) => {
    const error = await rejection(
      disabled({ a: a.orm, b: b.orm, c: c.orm }).run(({ dbSession }) => {
        put(dbSession.a, 'x')
        const em: any = dbSession.b
        em.persist([em.create(Book, { title: 'same' }), em.create(Book, { title: 'same' })])
        put(dbSession.c, 'x')
      }),
    )
    assert.instance(error, PartialCommitError)
    assert.match(error.message, /role "b" could not commit.*staying so: "a"\. Rolled back: "b", "c"/s)
    assert.equal((error as PartialCommitError).committed, ['a'])
    assert.equal((error as PartialCommitError).rolledBack, ['b', 'c'])
    assert.equal([await names(a.look), await names(b.look), await names(c.look)], [['x'], [], []])
  })

  test('disabled: txn.commit() commits plainly, em.commit() goes on, other resources may not join', async ({ a }) => {
    await disabled({ a: a.orm }).run(async ({ dbSession, txn, tm }) => {
      const em: any = dbSession.a
      await em.begin()
      put(em, 'by hand')
      await em.commit()
      assert.equal(await names(a.look), ['by hand'])
      put(em, 'rolled back')
      await em.flush()
      await em.rollback()
      put(em, 'by txn')
      await txn.commit()
      assert.equal(await names(a.look), ['by hand', 'by txn'])
      const resource = { sortKey: () => 'x' } as DataManager
      const next = await tm.begin()
      assert.throws(
        () => next.join(resource),
        (error: unknown) => error instanceof TransactionsDisabledError,
      )
    })
  })

  test('close waits for what is under way, refuses new work with 503, and leaves no connection', async () => {
    const own = await openDatabase(dialect)
    const url = dialect === 'postgresql' ? new URL(own.target) : undefined
    const registry = new EngineRegistry({ writer: own.orm })
    const goOn = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const running = registry.run(async ({ dbSession }) => {
      await put(dbSession.writer, 'under way').flush()
      begun.resolve()
      await goOn.promise
      put(dbSession.writer, 'finished')
    })
    await begun.promise
    const closing = registry.close()
    const refused = await rejection(registry.run(() => undefined))
    assert.instance(refused, RegistryClosedError)
    assert.is((refused as RegistryClosedError).status, 503)
    assert.throws(
      () => registry.session('writer'),
      (error: unknown) => error instanceof RegistryClosedError,
    )
    goOn.resolve()
    await running
    await closing
    assert.equal(await names(own.look), ['finished', 'under way'])
    await own.look.close()
    if (url !== undefined) {
      const { adminQuery } = await postgres()
      const left = (): Promise<unknown[]> =>
        adminQuery('select 1 from pg_stat_activity where datname = $1', [url.pathname.slice(1)])
      await until(async () => (await left()).length === 0, 'no connection to be left')
    }
  })

  test('reinit drops the pool of a role and opens a new one', async () => {
    const own = await openDatabase(dialect)
    const registry = new EngineRegistry({ writer: own.orm })
    const client = async (): Promise<unknown> => await own.orm.em.getConnection().getNativeClient()
    const before = await client()
    await registry.run(({ dbSession }) => put(dbSession.writer, 'before'))
    await registry.reinit('writer')
    await registry.reinit()
    assert.is.not(await client(), before)
    await registry.run(({ dbSession }) => put(dbSession.writer, 'after'))
    assert.equal(await names(own.look), ['after', 'before'])
    await own.close()
  })

  test.run()
}

const sqlite = suite('roles that share a SQLite file')

sqlite('are told of at start-up, and fail at once where they would wait for each other', async () => {
  const own = await openDatabase('sqlite')
  const other = await openOrm(own.target)
  let registry: any
  const seen = await warnings('SQLASSIST_SHARED_SQLITE_FILE', async () => {
    registry = new EngineRegistry({ writer: own.orm, log: { orm: other, commit: 'autonomous' } })
  })
  assert.is(seen.length, 1)
  assert.match(seen[0]!.message, /"writer" and "log" write to one SQLite file/)
  const error = await rejection(
    registry.run(async ({ dbSession }: any) => {
      await dbSession.writer.insert(Author, { name: 'holds the lock' })
      await dbSession.log.insert(Author, { name: 'would wait' })
    }),
  )
  assert.instance(error, SharedFileError)
  assert.match(error.message, /"log" would wait for itself: the role "writer" has a transaction open/)
  await registry.run(async ({ dbSession, txn }: any) => {
    await dbSession.writer.insert(Author, { name: 'holds the lock' })
    const refused = await rejection(dbSession.log.insert(Author, { name: 'would wait' }))
    await txn.abort()
    const later = await rejection(dbSession.log.insert(Author, { name: 'of a session that is half done' }))
    assert.is(later, refused, 'a BEGIN that failed stays failed')
  })
  await registry.run(async ({ dbSession }: any) => {
    dbSession.writer.create(Author, { name: 'first' })
    dbSession.log.create(Author, { name: 'then' })
  })
  assert.equal(await names(own.look), ['first', 'then'])
  await other.close()
  await own.close()
})

sqlite.run()
