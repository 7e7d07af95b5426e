/** What the driver and the connection of a session send: in its transaction, or not at all. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Work = (em: any) => unknown
type Context = { readonly end: 'commit' | 'rollback' }

/** Gives `work` a session, and ends it. */
const SESSIONS: Record<string, (world: DatabaseWorld, end: Context['end'], work: Work) => Promise<void>> = {
  'a scoped role': (world, end, work) => inUnit(world, {}, end, work),
  'a role that is not scoped': (world, end, work) => inUnit(world, { scoped: false }, end, work),
  'em.transactional()': (world, end, work) =>
    inUnit(world, { scoped: false }, end, (em) => em.transactional((nested: any) => work(nested))),
  'registry.session()': async ({ orm }, end, work) => {
    const em: any = new EngineRegistry<any>({ writer: orm }).session('writer')
    try {
      await work(em)
      await em[end]()
    } finally {
      await em.close()
    }
  },
}

async function inUnit({ orm }: DatabaseWorld, options: Partial<EngineOptions>, end: Context['end'], work: Work) {
  await new EngineRegistry<any>({ writer: { orm, ...options } }).run(async ({ dbSession, txn }: any) => {
    await work(dbSession.writer)
    if (end === 'rollback') await txn.abort()
  })
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`driver and connection of a session on ${dialect}`, dialect)
  test.before.each(
    async ({ look }) => void (await look.rows(`insert into author (id, name) values (1, 'one'), (2, 'two')`)),
  )

  for (const [session, use] of Object.entries(SESSIONS)) {
    test(`the driver of ${session} is in its transaction`, async (world) => {
      const before = await authorNames(world.look)
      const work = async (em: any): Promise<void> => {
        const driver = em.getDriver()
        await driver.nativeInsert(Author, { id: 3, name: 'three' })
        await driver.nativeInsertMany(Author, [{ id: 4, name: 'four' }], {})
        await driver.nativeUpdate(Author, { id: 1 }, { name: 'first' })
        await driver.nativeDelete(Author, { id: 2 })
        assert.is(await driver.count(Author, {}), 3)
        assert.is((await driver.find(Author, { name: 'first' })).length, 1)
        assert.is((await driver.findOne(Author, { id: 3 })).name, 'three')
        assert.is((await driver.execute('select * from author')).length, 3)
        assert.is((await driver.createQueryBuilder(Author).execute()).length, 3)
        assert.is((await driver.getConnection().execute('select * from author')).length, 3)
        assert.is((await driver.getConnection().getClient().selectFrom('author').selectAll().execute()).length, 3)
        assert.equal(await authorNames(world.look), before, 'nothing is visible before the end')
      }
      await use(world, 'rollback', work)
      assert.equal(await authorNames(world.look), before)
      await use(world, 'commit', work)
      assert.equal((await authorNames(world.look)).toSorted(), ['first', 'four', 'three'])
    })

    test(`what would go past ${session} is refused, with the way to go`, async (world) => {
      const works: Record<string, Work> = {
        'em.execute()': (em) => em.getConnection().executeDump(`insert into author (id, name) values (3, 'beside')`),
        'em.getKysely()': (em) => em.getConnection().getNativeClient(),
        'em.transactional()': (em) => em.getConnection().begin(),
        'by savepoint': (em) =>
          em
            .getDriver()
            .getConnection()
            .transactional(() => undefined),
      }
      await use(world, 'commit', async (em) => {
        await em.insert(Author, { id: 5, name: 'stored' })
        for (const [way, work] of Object.entries(works)) {
          const error: any = await rejection(Promise.resolve(work(em)))
          assert.is(error.code, 'SQLASSIST_OUTSIDE_TRANSACTION', way)
          assert.ok(error.message.includes(way), error.message)
        }
      })
      assert.equal((await authorNames(world.look)).toSorted(), ['one', 'stored', 'two'])
    })
  }

  test('a driver that is asked for after the end of its session sends nothing', async (world) => {
    let em: any
    await SESSIONS['a role that is not scoped']!(world, 'commit', (its) => void (em = its))
    const error: any = await rejection(
      (async () => await em.getDriver().nativeInsert(Author, { id: 3, name: 'late' }))(),
    )
    assert.is(error.code, 'SQLASSIST_SESSION_ENDED')
    assert.is((await authorNames(world.look)).length, 2)
  })

  test('a dump of the ORM is not loaded inside of a unit of work', async (world) => {
    const { orm } = world
    const dump = (): Promise<unknown> =>
      orm.driver
        .getConnection()
        .executeDump(`insert into author (id, name) values (3, 'a'); insert into author (id, name) values (4, 'b')`)
    await SESSIONS['a scoped role']!(world, 'rollback', async (em) => {
      await em.insert(Author, { id: 5, name: 'undone' })
      const error: any = await rejection(dump())
      assert.is(error.code, 'SQLASSIST_OUTSIDE_TRANSACTION')
    })
    await dump()
    assert.is((await authorNames(world.look)).length, 4)
  })

  if (dialect === 'postgresql') test.run()
  else {
    test('a dump is not loaded into the transaction of somebody else', async (world) => {
      const { orm } = world
      const dump = (): Promise<unknown> =>
        orm.driver.getConnection().executeDump(`insert into author (id, name) values (3, 'dumped')`)
      const session: any = new EngineRegistry<any>({ writer: orm }).session('writer')
      await session.insert(Author, { id: 5, name: 'undone' })
      const beside = new EngineRegistry<any>({ writer: { orm, scoped: false } })
      for (const load of [dump, () => beside.run(dump)]) {
        const error: any = await rejection(load())
        assert.is(error.code, 'SQLASSIST_OUTSIDE_TRANSACTION')
        assert.match(error.message, /no unit of work is under way/)
      }
      await session.rollback()
      await dump()
      await session.close()
      assert.equal((await authorNames(world.look)).toSorted(), ['dumped', 'one', 'two'])
    })
    test.run()
  }
}
