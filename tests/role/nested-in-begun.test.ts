/** em.transactional() inside of a transaction that em.begin() of an autocommit role has begun: it nests by savepoint. */
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Em = any

const insert = (em: Em, name: string): Promise<unknown> => em.insert(Author, { name })
const run = ({ orm }: DatabaseWorld, work: (em: Em) => unknown): Promise<unknown> =>
  new EngineRegistry<any>({ writer: { orm, commit: 'autocommit' } }).run(({ dbSession }: any) => work(dbSession.writer))

/** An em.transactional() that has inserted something, and fails when `fail` is called. */
async function underWay(em: Em): Promise<{ nested: Promise<unknown>; fail: () => void }> {
  const [inside, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const nested = em.transactional(async (own: Em) => {
    await insert(own, 'undone')
    inside.resolve()
    await goOn.promise
    throw new Error('on purpose')
  })
  await inside.promise
  return { nested, fail: goOn.resolve }
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`em.transactional() in em.begin() (${dialect})`, dialect)

  test('what it stores is committed with the rest, and what it fails in is undone alone', async (world) => {
    await run(world, async (em) => {
      await em.begin()
      await em.transactional((own: Em) => insert(own, 'kept'))
      const failing = async (own: Em): Promise<void> => {
        await insert(own, 'undone')
        throw new Error('on purpose')
      }
      assert.is((await rejection(em.transactional(failing))).message, 'on purpose')
      await em.commit()
    })
    assert.equal(await authorNames(world.look), ['kept'])
  })

  test('two at once are carried out one after the other', async (world) => {
    await run(world, async (em) => {
      await em.begin()
      const both = ['one', 'two'].map((name) => em.transactional((own: Em) => insert(own, name)))
      await Promise.all(both)
      await em.commit()
    })
    assert.equal(await authorNames(world.look), ['one', 'two'])
  })

  test('em.begin() beside em.transactional() is refused, and that ends as it would alone', async (world) => {
    await run(world, async (em) => {
      const { nested, fail } = await underWay(em)
      const error: any = await rejection(em.begin())
      assert.is(error.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
      fail()
      assert.is((await rejection(nested)).message, 'on purpose')
      await em.begin()
      await insert(em, 'kept')
      await em.commit()
    })
    assert.equal(await authorNames(world.look), ['kept'])
  })

  test('em.commit() is refused while em.transactional() inside is under way, whose error undoes what it did', async (world) => {
    await run(world, async (em) => {
      await em.begin()
      await insert(em, 'kept')
      const { nested, fail } = await underWay(em)
      const error: any = await rejection(em.commit())
      assert.is(error.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
      assert.match(error.message, /em\.commit\(\)/)
      fail()
      assert.is((await rejection(nested)).message, 'on purpose')
      await em.commit()
    })
    assert.equal(await authorNames(world.look), ['kept'])
  })

  test('its error leaves by the end of the unit, which rolls the rest back', async (world) => {
    const failing = async (em: Em): Promise<void> => {
      await em.begin()
      await em.transactional(async (own: Em) => {
        await insert(own, 'undone')
        throw new Error('on purpose')
      })
    }
    assert.is((await rejection(run(world, failing))).message, 'on purpose')
    assert.equal(await authorNames(world.look), [])
  })

  if (dialect === 'sqlite') {
    test('one that requires a transaction of its own is refused, for the only connection is taken', async (world) => {
      await run(world, async (em) => {
        await em.begin()
        const options = { propagation: 'requires_new' }
        const error: any = await rejection(em.transactional((own: Em) => insert(own, 'apart'), options))
        assert.is(error.code, 'SQLASSIST_CONNECTION_DEADLOCK')
        await em.rollback()
      })
      assert.equal(await authorNames(world.look), [])
    })
  }

  test.run()
}
