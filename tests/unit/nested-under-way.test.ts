/** em.transactional() beside and inside others that nobody awaits: what was answered is what is stored. */
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'

const names = (look: SecondLook): Promise<unknown[]> => authorNames(look, 'name')

for (const dialect of DIALECTS) {
  for (const commit of ['joined', 'autonomous', 'autocommit'] as const) {
    const test = databaseSuite(`nested transactions under way, ${commit}, on ${dialect}`, dialect)

    const run = ({ orm }: DatabaseWorld, work: (writer: any) => Promise<void>): Promise<void> =>
      new EngineRegistry<any>({ writer: { orm, commit } }).run(({ dbSession }: any) => work(dbSession.writer))

    test('a nested transaction left under way keeps the one around it, and nothing of it is stored later', async (world) => {
      const { promise: goOn, resolve } = Promise.withResolvers<void>()
      let inner: Promise<any> | undefined
      await run(world, async (writer) => {
        const outer: any = await rejection(
          writer.transactional(async (em: any) => {
            await em.insert(Author, { name: 'outer' })
            const entered = Promise.withResolvers<void>()
            inner = rejection(
              em.transactional(async (nested: any) => {
                entered.resolve()
                await goOn
                await nested.insert(Author, { name: 'inner' })
              }),
            )
            await entered.promise
          }),
        )
        assert.is(outer.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
        await writer.insert(Author, { name: 'after' })
        resolve()
        assert.is((await inner).code, 'SQLASSIST_NESTED_TRANSACTION_ENDED')
      })
      assert.equal(await names(world.look), ['after'])
    })

    test('the entity manager of one that is over cannot begin another', async (world) => {
      await run(world, async (writer) => {
        let kept: any
        await writer.transactional(async (em: any) => void (kept = em))
        const error: any = await rejection(kept.transactional(async (em: any) => em.insert(Author, { name: 'late' })))
        assert.is(error.code, 'SQLASSIST_NESTED_TRANSACTION_ENDED')
      })
      assert.equal(await names(world.look), [])
    })

    test('an entity that the outer entity manager deletes is not inserted again', async (world) => {
      await world.look.rows(`insert into author (name) values ('deleted')`)
      await run(world, async (writer) => {
        const author = await writer.findOneOrFail(Author, { name: 'deleted' })
        await writer.transactional(async (em: any) => {
          writer.remove(author)
          await (commit === 'autocommit' ? em.nativeDelete(Author, { name: 'none' }) : writer.flush())
        })
      })
      assert.equal(await names(world.look), [])
    })

    test('what is deleted three levels deep is not inserted again', async (world) => {
      await world.look.rows(`insert into author (name) values ('deleted')`)
      await run(world, async (writer) => {
        await writer.find(Author, {})
        await writer.transactional(async (one: any) => {
          await one.transactional(async (two: any) => {
            await two.transactional(async (three: any) => {
              three.remove(await three.findOneOrFail(Author, { name: 'deleted' }))
            })
          })
        })
        writer.create(Author, { name: 'kept' })
        await writer.flush()
      })
      assert.equal(await names(world.look), ['kept'])
    })

    test('an entity created beside a nested transaction is inserted once', async (world) => {
      await run(world, async (writer) => {
        writer.create(Author, { name: 'created' })
        const flushed = writer.flush()
        const nested = writer.transactional(async (em: any) => em.insert(Author, { name: 'inner' }))
        await Promise.all([flushed, nested])
      })
      assert.equal(await names(world.look), ['created', 'inner'])
      await world.look.rows('delete from author')
      await run(world, async (writer) => {
        writer.create(Author, { name: 'pending' })
        const nested = writer.transactional(async (em: any) => em.insert(Author, { name: 'inner' }))
        await Promise.all([nested, writer.flush()])
      })
      assert.equal(await names(world.look), ['inner', 'pending'])
    })

    test('a nested transaction that fails beside a flush undoes its own work alone', async (world) => {
      await run(world, async (writer) => {
        writer.create(Author, { name: 'created' })
        const flushed = writer.flush()
        const nested = rejection(
          writer.transactional(async (em: any) => {
            await em.insert(Author, { name: 'inner' })
            throw new RangeError('undo')
          }),
        )
        await Promise.all([flushed, nested])
      })
      assert.equal(await names(world.look), ['created'])
    })

    if (commit === 'autocommit' && dialect === 'postgresql') {
      test('what is flushed as a nested transaction begins is stored once, also when that one fails', async (world) => {
        const called = Promise.withResolvers<void>()
        let flush: (() => Promise<void>) | undefined
        let flushing: Promise<void> | undefined
        world.orm.em.getEventManager().registerSubscriber({
          beforeTransactionStart() {
            const first = flush
            flush = undefined
            flushing ??= first?.()
          },
          beforeTransactionCommit: () => called.promise,
        })
        await run(world, async (writer) => {
          writer.create(Author, { name: 'once' })
          flush = () => writer.flush()
          const error = await rejection(
            writer.transactional(async () => {
              called.resolve()
              await flushing
              throw new RangeError('undo')
            }),
          )
          assert.instance(error, RangeError)
        })
        assert.equal(await names(world.look), ['once'])
      })
    }

    test('changes that a nested transaction undid in memory stay undone when one inside of it fails later', async (world) => {
      await world.look.rows(`insert into author (name) values ('before')`)
      await run(world, async (writer) => {
        const author = await writer.findOneOrFail(Author, { name: 'before' })
        const { promise: goOn, resolve } = Promise.withResolvers<void>()
        let inner: Promise<unknown> | undefined
        await rejection(
          writer.transactional(async (em: any) => {
            author.name = 'after'
            await em.flush()
            const entered = Promise.withResolvers<void>()
            inner = rejection(
              em.transactional(async () => {
                entered.resolve()
                await goOn
                throw new RangeError('undo')
              }),
            )
            await entered.promise
          }),
        )
        resolve()
        await inner
        assert.is(author.name, 'before')
      })
    })

    test('what was changed outside, and loaded once more inside, is written', async (world) => {
      await world.look.rows(`insert into author (name) values ('before')`)
      await run(world, async (writer) => {
        const { promise: loaded, resolve } = Promise.withResolvers<void>()
        const nested = writer.transactional(async (em: any) => {
          await loaded
          await em.findOneOrFail(Author, { name: 'before' })
        })
        if (commit !== 'autocommit' || dialect === 'postgresql') {
          const author = await writer.findOneOrFail(Author, { name: 'before' })
          author.name = 'after'
          resolve()
          await nested
          await writer.flush()
          assert.is(author.name, 'after')
        } else {
          // There the only connection is the nested transaction's.
          resolve()
          await nested
          await writer.nativeUpdate(Author, {}, { name: 'after' })
        }
      })
      assert.equal(await names(world.look), ['after'])
    })

    test('a nested transaction that lost its work to a caught failure is answered with an error', async (world) => {
      await world.look.rows(`insert into book (title) values ('taken')`)
      // MikroORM's own transaction on SQLite goes on after an error.
      const goesOn = dialect === 'sqlite' && commit === 'autocommit'
      const work = run(world, async (writer) => {
        await writer.transactional(async (em: any) => {
          await em.insert(Author, { name: 'lost' })
          await rejection(em.insert(Book, { title: 'taken' }))
        })
      })
      await (goesOn ? work : rejection(work))
      assert.equal(await names(world.look), goesOn ? ['lost'] : [])
    })

    test.run()
  }

  const test = databaseSuite<{ audit: DatabaseWorld }>(`nested transactions of two roles on ${dialect}`, dialect)
  test.before(async (world) => void (world.audit = await openDatabase(dialect)))
  test.after(async ({ audit }) => await audit.close())

  for (const commit of ['joined', 'autocommit'] as const) {
    test(`crosswise inside each other they do not wait for ever: the last one is refused, ${commit}`, async ({
      orm,
      audit,
      look,
    }) => {
      const entered = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
      const registry = new EngineRegistry<any>({ writer: { orm, commit }, audit: audit.orm })
      const ends = await registry.run(async ({ dbSession }: any) => {
        const across = (own: any, other: any, here: number) =>
          own.transactional(async () => {
            entered[here]!.resolve()
            await entered[1 - here]!.promise
            await other.transactional(async (em: any) => em.insert(Author, { name: `by ${here}` }))
          })
        return await Promise.allSettled([
          across(dbSession.writer, dbSession.audit, 0),
          across(dbSession.audit, dbSession.writer, 1),
        ])
      })
      const reasons = ends.filter((end) => end.status === 'rejected').map(({ reason }) => reason.code)
      assert.equal(reasons, ['SQLASSIST_NESTED_TRANSACTION_DEADLOCK'])
      const stored = [...(await names(look)), ...(await names(audit.look))]
      assert.is(stored.length, 1)
      await look.rows('delete from author')
      await audit.look.rows('delete from author')
    })
  }

  test.run()
}
