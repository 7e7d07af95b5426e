import { LockMode } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { EngineRegistry, ReadOnlySessionError } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { openOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Em = any
type Work = (em: Em) => unknown

const test = databaseSuite('roles that only read on SQLite', 'sqlite')

const LOCKS: readonly [string, Work][] = [
  ['find', (em) => em.find(Author, {}, { lockMode: LockMode.PESSIMISTIC_WRITE })],
  ['findOne', (em) => em.findOne(Author, { name: 'first' }, { lockMode: LockMode.PESSIMISTIC_READ })],
  ['em.lock', async (em) => em.lock(await em.findOneOrFail(Author, { name: 'first' }), LockMode.PESSIMISTIC_WRITE)],
  ['em.refresh', async (em) => em.refresh(await em.findOneOrFail(Author, { name: 'first' }), { lockMode: 3 })],
  ['a builder', (em) => em.createQueryBuilder(Author).setLockMode(LockMode.PESSIMISTIC_WRITE).getResult()],
  ['a copy of a builder', (em) => em.createQueryBuilder(Author).clone().setLockMode(LockMode.PESSIMISTIC_WRITE)],
  ['a builder of a repository', (em) => em.getRepository(Author).qb().setLockMode(LockMode.PESSIMISTIC_WRITE_OR_FAIL)],
]
const BEYOND_READING: readonly string[] = [
  `attach database ':memory:' as other`,
  'pragma foreign_keys = off',
  'pragma query_only(1)',
]
const READS: readonly string[] = [
  'pragma table_info(author)',
  'pragma foreign_keys',
  'select 1 as [commit; end]',
  'explain query plan select * from author',
  'values (1);',
]

test.before.each(async ({ look }) => void (await look.rows(`insert into author (name) values ('first')`)))

for (const readOnly of [true, 'snapshot'] as const) {
  for (const [name, lock] of LOCKS) {
    test(`${name} with a lock mode is refused where readOnly is ${readOnly}: it would lock nothing`, async ({
      orm,
    }) => {
      const registry = new EngineRegistry({ archive: { orm, readOnly } })
      for (const em of [(session: Em) => session, () => orm.em]) {
        const error = await rejection(registry.run(({ dbSession }) => lock(em(dbSession.archive)) as Promise<void>))
        assert.instance(error, ReadOnlySessionError)
        assert.match(error.message, /"archive".*lock/)
      }
    })
  }

  test(`a read without a lock, or with an optimistic one, passes where readOnly is ${readOnly}`, async ({ orm }) => {
    const registry = new EngineRegistry({ archive: { orm, readOnly } })
    await registry.run(async ({ dbSession }) => {
      const em: Em = dbSession.archive
      assert.is((await em.find(Author, {}, { lockMode: LockMode.NONE })).length, 1)
      assert.is((await em.createQueryBuilder(Author).setLockMode().getResult()).length, 1)
    })
  })

  for (const statement of BEYOND_READING) {
    test(`"${statement}" is refused where readOnly is ${readOnly}`, async ({ orm }) => {
      const registry = new EngineRegistry({ archive: { orm, readOnly } })
      const error = await rejection(registry.run(({ dbSession }) => (dbSession.archive as Em).execute(statement)))
      assert.instance(error, ReadOnlySessionError)
    })
  }

  for (const statement of READS) {
    test(`"${statement}" is let through where readOnly is ${readOnly}`, async ({ orm }) => {
      const registry = new EngineRegistry({ archive: { orm, readOnly } })
      assert.ok(Array.isArray(await registry.run(({ dbSession }) => (dbSession.archive as Em).execute(statement))))
    })
  }
}

test('a savepoint is refused where each statement runs alone: it would begin a transaction', async ({ orm }) => {
  const registry = new EngineRegistry({ reader: { orm, readOnly: true } })
  const error = await rejection(registry.run(({ dbSession }) => (dbSession.reader as Em).execute('savepoint a')))
  assert.instance(error, ReadOnlySessionError)
  assert.match(error.message, /readOnly: 'snapshot'/)
  const handle: any = await orm.em.getConnection().getNativeClient()
  assert.not(handle.inTransaction)
})

test('executeDump() and the native client of a session that only reads are refused', async ({ orm, look }) => {
  for (const readOnly of [true, 'snapshot'] as const) {
    const registry = new EngineRegistry({ archive: { orm, readOnly } })
    for (const past of [
      (connection: Em) => connection.executeDump(`insert into author (name) values ('dumped')`),
      (connection: Em) => connection.getNativeClient(),
    ]) {
      const error = await rejection(registry.run(({ dbSession }) => past((dbSession.archive as Em).getConnection())))
      assert.instance(error, ReadOnlySessionError)
    }
  }
  assert.is(await look.value('select count(*) from author'), 1)
})

test('locks are refused in its sessions alone, and the builders are as they were after the last registry', async ({
  orm,
  target,
}) => {
  const builders = Object.getPrototypeOf((orm.em.fork() as Em).createQueryBuilder(Author))
  const before = builders.setLockMode
  const locking = (em: Em) => em.find(Author, {}, { lockMode: LockMode.PESSIMISTIC_WRITE })
  const registry = new EngineRegistry({ archive: { orm, readOnly: true }, writer: await openOrm(target) })
  const second = new EngineRegistry({ archive: { orm, readOnly: true } })
  const [, rows] = await registry.run(async ({ dbSession: { archive, writer } }) => [
    await archive.count(Author),
    await locking(writer),
  ])
  assert.is(rows.length, 1)
  await second.close()
  await rejection(registry.run(({ dbSession }) => locking(dbSession.archive)))
  await registry.close()
  assert.is(builders.setLockMode, before)
})

test.run()
