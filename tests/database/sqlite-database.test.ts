import * as assert from 'uvu/assert'
import Database from 'better-sqlite3'
import { EngineRegistry, OutsideTransactionError } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { holdWriteLock } from '../support/lock-holder.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  target: string
  orm: TestOrm
  reader: TestOrm
  look: SecondLook
}

const test = suite<World>('SQLite')

test.before.each(async (world) => {
  world.target = await newDatabase('sqlite')
  world.orm = await openOrm(world.target)
  world.reader = await openOrm(world.target)
  world.look = await secondLook(world.target)
})
test.after.each(async ({ orm, reader, look }) => {
  await look.close()
  await orm.close()
  await reader.close()
})

test('a writer begins immediate, so that reading first and writing later cannot fail half way', async ({
  orm,
  look,
}) => {
  await new EngineRegistry({ writer: orm }).run(async ({ dbSession }) => {
    const em = dbSession.writer
    await em.count(Author)
    const blocked = await rejection(look.rows(`insert into author (name) values ('other')`))
    assert.is((blocked as { code?: string }).code, 'SQLITE_BUSY')
    await em.insert(Author, { name: 'mine' })
  })
  assert.equal(await look.rows('select name from author'), [{ name: 'mine' }])
})

test('a second transaction on the same ORM waits for the first, however the two meet', async ({ orm, look }) => {
  const registry = new EngineRegistry({ writer: orm })
  const opened = Promise.withResolvers<void>()
  const order: string[] = []
  const first = registry.run(async ({ dbSession }) => {
    await dbSession.writer.insert(Author, { name: 'first' })
    opened.resolve()
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    order.push('first')
  })
  await opened.promise
  const later = [1, 2, 3].map((number) =>
    registry.run(async ({ dbSession }) => {
      await dbSession.writer.insert(Author, { name: `later ${number}` })
      order.push('later')
    }),
  )
  await Promise.all([first, ...later])
  assert.equal(order, ['first', 'later', 'later', 'later'])
  assert.is(await look.value('select count(*) from author'), 4)
})

test('a read-only role reads while a writer has its transaction open', async ({ orm, reader, look }) => {
  const registry = new EngineRegistry({ writer: orm, reader: { orm: reader, readOnly: true } })
  await registry.run(async ({ dbSession }) => {
    await dbSession.writer.insert(Author, { name: 'not yet' })
    assert.is(await dbSession.reader.count(Author), 0)
  })
  assert.is(await look.value('select count(*) from author'), 1)
})

test('while another process holds the write lock the event loop goes on, and the writer gets its turn', async (world) => {
  const lock = await holdWriteLock(world.target)
  let ticks = 0
  const timer = setInterval(() => {
    ticks++
    if (ticks === 20) void lock.release()
  }, 1)
  await new EngineRegistry({ writer: world.orm }).run(({ dbSession }) => dbSession.writer.insert(Author, { name: 'x' }))
  clearInterval(timer)
  assert.ok(ticks >= 20, `only ${ticks} ticks`)
  assert.is(await world.look.value('select count(*) from author'), 1)
})

test('the wait for a lock ends after busy_timeout, with SQLITE_BUSY', async ({ target, look }) => {
  const impatient = await openOrm(target, { config: { driverOptions: { timeout: 30 } } })
  await look.rows('begin immediate')
  const error = await rejection(
    new EngineRegistry({ writer: impatient }).run(({ dbSession }) => dbSession.writer.insert(Author, { name: 'x' })),
  )
  assert.is((error as { code?: string }).code, 'SQLITE_BUSY')
  await look.rows('rollback')
  const handle: any = await impatient.em.getConnection().getNativeClient()
  assert.is(handle.pragma('busy_timeout', { simple: true }), 30, 'the timeout is as it was')
  await impatient.close()
})

test('a commit that a reader holds up outside WAL waits without stopping the event loop', async ({ target, look }) => {
  const file = `${target}-rollback`
  new Database(file).close()
  const orm = await openOrm(file)
  const other = await secondLook(file)
  await other.rows('begin')
  await other.rows('select * from author')
  let ticks = 0
  const timer = setInterval(() => {
    ticks++
    if (ticks === 20) void other.rows('rollback')
  }, 1)
  await new EngineRegistry({ writer: orm }).run(({ dbSession }) => dbSession.writer.insert(Author, { name: 'x' }))
  clearInterval(timer)
  assert.ok(ticks >= 20, `only ${ticks} ticks`)
  assert.is(await other.value('select count(*) from author'), 1)
  await other.close()
  await orm.close()
  assert.is(await look.value('select count(*) from author'), 0, 'the other file is another database')
})

test('two roles on one file outside WAL are advised to use it, once, at start-up; in WAL nobody is', async ({
  target,
  orm,
  reader,
}) => {
  const file = `${target}-advised`
  new Database(file).close()
  const roles = { writer: await openOrm(file), reader: { orm: await openOrm(file), readOnly: true } }
  let registry: EngineRegistry<any> | undefined
  const seen = await warnings('SQLASSIST_SQLITE_JOURNAL_MODE', async () => {
    registry = new EngineRegistry(roles)
    await registry.close()
  })
  assert.is(seen.length, 1)
  assert.match(seen[0]!.message, /"writer" and "reader".*journal_mode "delete".*pragma journal_mode = wal/s)

  const quiet = await warnings('SQLASSIST_SQLITE_JOURNAL_MODE', () =>
    new EngineRegistry({ writer: orm, reader: { orm: reader, readOnly: true } }).close(),
  )
  assert.is(quiet.length, 0)
})

test('what would wait for itself for ever is an error at once', async ({ orm }) => {
  for (const scoped of [true, false]) {
    const registry = new EngineRegistry({ writer: { orm, scoped } })
    const outside: any = orm.em.fork()
    await registry.run(async ({ dbSession }) => {
      await dbSession.writer.insert(Author, { name: 'holds the connection' })
      const stuck: (() => Promise<unknown>)[] = [
        () => outside.find(Author, {}),
        () => outside.persist(outside.create(Author, { name: 'x' })).flush(),
        () => outside.transactional((em: any) => em.find(Author, {})),
        () => outside.getKysely().selectFrom('author').selectAll().execute(),
        () => orm.em.getDriver().execute('select 1'),
      ]
      for (const use of stuck) {
        const error = await rejection(use())
        assert.instance(error, OutsideTransactionError)
        assert.match(error.message, /"writer"/)
        outside.clear()
      }
    })
    assert.is(await orm.em.fork().count(Author), scoped ? 1 : 2)
  }
})

test.run()
