/** What a session knows, and may still do, when something of it failed. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Work = (em: any, context: any) => unknown

for (const dialect of DIALECTS) {
  const test = databaseSuite(`failures of a session on ${dialect}`, dialect)
  test.before.each(async ({ look }) => {
    await look.rows(`insert into author (id, name) values (1, 'old')`)
    await look.rows(`insert into book (title) values ('taken')`)
  })

  const names = ({ look }: DatabaseWorld): Promise<unknown[]> => authorNames(look)
  const run = (world: DatabaseWorld, engine: Partial<EngineOptions>, work: Work, disableTransaction = false) =>
    new EngineRegistry<any>({ writer: { orm: world.orm, ...engine } }, { disableTransaction }).run((context: any) =>
      work(context.dbSession.writer, context),
    )
  const create = (em: any, id: number, name: string) => em.create(Author, { id, name })

  const keepSession = { keepSession: true }

  test('with keepSession the transaction after an abort knows nothing of it, and stores the change made again', async (world) => {
    await run(world, keepSession, async (em, { dbSession, tm, txn }) => {
      const author = await em.findOneOrFail(Author, 1)
      author.name = 'new'
      create(em, 2, 'flushed')
      await em.flush()
      create(em, 3, 'pending')
      await txn.abort()
      await tm.begin()
      const again: any = await dbSession.writer.findOneOrFail(Author, 1)
      assert.equal([again.name, await dbSession.writer.findOne(Author, 2)], ['old', null])
      again.name = 'new'
    })
    assert.equal(await names(world), ['new'])
  })

  test('with keepSession what kept a commit from succeeding is not in the next one', async (world) => {
    await run(world, keepSession, async (em, { dbSession, tm, txn }) => {
      em.create(Book, { title: 'taken' })
      create(em, 2, 'beside it')
      await rejection(txn.commit())
      await txn.abort()
      await tm.begin()
      create(dbSession.writer, 3, 'next')
    })
    assert.equal(await names(world), ['old', 'next'])
  })

  test('with keepSession each of the attempts of a manager starts from what is stored', async (world) => {
    await run(world, keepSession, async (_em, { dbSession, tm, txn }) => {
      await txn.abort()
      let attempts = 0
      await tm.run(async () => {
        const author = await dbSession.writer.findOneOrFail(Author, 1)
        author.name = `${author.name}+`
        await dbSession.writer.flush()
        if (++attempts === 1) throw Object.assign(new Error('serialization'), { code: '40001' })
      })
      await tm.begin()
    })
    assert.equal(await names(world), ['old+'])
  })

  test('with keepSession an entity manager whose transaction has failed writes nothing outside of it', async (world) => {
    await rejection(
      run(world, keepSession, async (em, { dbSession, txn }) => {
        await em.insert(Author, { id: 2, name: 'one' })
        await rejection(em.transactional(() => txn.savepoint()))
        await rejection((async () => dbSession.writer)())
        assert.is(((await rejection(em.insert(Author, { id: 3, name: 'two' }))) as any).code, 'SQLASSIST_SESSION_ENDED')
      }),
    )
    assert.equal(await names(world), ['old'])
    await run(world, keepSession, (em) => void create(em, 4, 'next'))
    assert.equal(await names(world), ['old', 'next'])
  })

  test('with keepSession a savepoint older than the session leaves nothing of it', async (world) => {
    await new EngineRegistry<any>({ writer: { orm: world.orm, ...keepSession } }).run(
      async ({ dbSession, txn }: any) => {
        const savepoint = await txn.savepoint()
        create(dbSession.writer, 2, 'inside')
        await savepoint.rollback()
        create(dbSession.writer, 3, 'after')
      },
    )
    assert.equal(await names(world), ['old', 'after'])
  })

  for (const [what, engine, disabled] of [
    ['of its own', { commit: 'autonomous' }, false],
    ['where transactions are disabled', {}, true],
  ] as const) {
    test(`a session ${what} whose em.commit() failed refuses everything but em.rollback()`, async (world) => {
      await run(
        world,
        engine,
        async (em) => {
          const author = await em.findOneOrFail(Author, 1)
          author.name = 'new'
          await em.flush()
          const book = em.create(Book, { title: 'taken' })
          await rejection(em.commit())
          book.title = 'free'
          const calls = [
            em.commit(),
            em.flush(),
            em.count(Author),
            em.transactional(() => undefined),
            em.execute('select 1'),
          ]
          for (const call of calls) assert.is(((await rejection(call)) as any).code, 'SQLASSIST_SESSION_FAILED')
          await em.rollback()
          assert.is((await em.findOneOrFail(Author, 1)).name, 'old')
          create(em, 2, 'again')
          await em.commit()
        },
        disabled,
      )
      assert.equal(await names(world), ['old', 'again'])
      assert.equal(await world.look.rows('select title from book'), [{ title: 'taken' }])
    })

    test(`a session ${what} that failed and was not rolled back fails its unit`, async (world) => {
      const error: any = await rejection(
        run(
          world,
          engine,
          async (em) => {
            em.create(Book, { title: 'taken' })
            await rejection(em.commit())
          },
          disabled,
        ),
      )
      assert.is(error.code, 'SQLASSIST_SESSION_FAILED')
      assert.match(error.message, /await em\.rollback\(\)/)
    })
  }

  test('a session outside of any unit goes on after em.rollback() only', async (world) => {
    const registry = new EngineRegistry<any>({ writer: world.orm })
    const em: any = registry.session('writer')
    create(em, 2, 'lost')
    em.create(Book, { title: 'taken' })
    await rejection(em.commit())
    await rejection(em.commit())
    await em.rollback()
    create(em, 3, 'kept')
    await em.commit()
    await em.close()
    assert.equal(await names(world), ['old', 'kept'])
  })

  test('a role that commits every flush refuses everything but em.rollback() after a failed one', async (world) => {
    await run(world, { commit: 'autocommit' }, async (em) => {
      create(em, 2, 'beside it')
      const book = em.create(Book, { title: 'taken' })
      await rejection(em.flush())
      book.title = 'free'
      assert.is(((await rejection(em.flush())) as any).code, 'SQLASSIST_SESSION_FAILED')
      await em.rollback()
      create(em, 3, 'next')
      await em.flush()
    })
    assert.equal(await names(world), ['old', 'next'])
  })

  test('an autonomous role that cannot commit keeps the rest from being committed, unless it is bestEffort', async (world) => {
    const log = await openDatabase(dialect)
    const work = (bestEffort: boolean) =>
      new EngineRegistry<any>({
        writer: { orm: world.orm, default: true },
        log: { orm: log.orm, commit: 'autonomous', bestEffort },
      }).run(async ({ dbSession }: any) => {
        create(dbSession.writer, bestEffort ? 3 : 2, 'work')
        await dbSession.log.insert(Book, { title: 'same' })
        await rejection(dbSession.log.insert(Book, { title: 'same' }))
      })
    await rejection(work(false))
    assert.equal(await names(world), ['old'])
    await work(true)
    assert.equal(await names(world), ['old', 'work'])
    assert.equal(await log.look.rows('select title from book'), [])
    await log.close()
  })

  const caught: readonly [string, Work][] = [
    ['a statement', async (em) => void (await rejection(em.insert(Book, { title: 'taken' })))],
    ['raw SQL', async (em) => void (await rejection(em.execute('select * from nowhere')))],
    [
      'a flush',
      async (em) => {
        em.create(Book, { title: 'taken' })
        await rejection(em.flush())
      },
    ],
    [
      'a flush that sent nothing',
      async (em) => {
        em.create(Author, {}, { partial: true })
        await rejection(em.flush())
      },
    ],
  ]
  for (const [what, fail] of caught) {
    test(`${what} that failed, and whose error was caught, keeps the unit from being committed`, async (world) => {
      for (const disabled of [false, true]) {
        const error: any = await rejection(
          run(
            world,
            {},
            async (em, context) => {
              await em.insert(Author, { id: 2, name: 'before' })
              await fail(em, context)
            },
            disabled,
          ),
        )
        assert.is(error.code, 'SQLASSIST_TRANSACTION_ABORTED')
        assert.instance(error.cause, Error)
        assert.equal(await names(world), ['old'])
      }
    })

    test(`${what} that failed is undone by em.transactional(), and by the rollback of a savepoint`, async (world) => {
      await run(world, {}, async (em, context) => {
        await em.insert(Author, { id: 2, name: 'before' })
        await rejection(
          em.transactional(async (nested: any) => {
            await fail(nested, context)
            throw new RangeError('undo')
          }),
        )
        const savepoint = await context.txn.savepoint()
        await fail(em, context)
        await savepoint.rollback()
      })
      assert.equal(await names(world), ['old', 'before'])
    })

    test(`${what} that failed inside em.transactional(), and was caught there, fails that one`, async (world) => {
      await run(world, {}, async (em, context) => {
        await em.insert(Author, { id: 2, name: 'before' })
        await rejection(
          em.transactional(async (nested: any) => {
            await nested.insert(Author, { id: 3, name: 'inside' })
            await fail(nested, context)
          }),
        )
      })
      assert.equal(await names(world), ['old', 'before'])
    })
  }

  test("a unit that only read commits nothing, and a failed read of it that was caught is nobody's concern", async (world) => {
    await run(world, {}, async (em) => {
      await em.count(Author)
      await rejection(em.execute('select * from nowhere'))
    })
  })

  test("with rawWrites: 'error' a raw write that was undone is none", async (world) => {
    await run(world, { rawWrites: 'error' }, async (em) => {
      await rejection(
        em.transactional(async (nested: any) => {
          await nested.execute(`insert into author (id, name) values (7, 'raw')`)
          throw new RangeError('undo')
        }),
      )
    })
    assert.equal(await names(world), ['old'])
  })

  test.run()
}
