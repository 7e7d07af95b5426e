import * as assert from 'uvu/assert'
import { OptimisticLockError } from '@mikro-orm/core'
import { EngineRegistry, isRetryable, TransactionAbortedError } from '../../source/index.ts'
import { barrier } from '../support/barrier.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { openOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'

const test = databaseSuite('errors worth retrying', 'postgresql')
test.before.each(async ({ look }) => {
  await look.rows(`insert into author (id, name) values (1, 'on call'), (2, 'on call')`)
})

test('a real write skew under serializable converges by retrying: one of the two stays on call', async ({
  orm,
  look,
}) => {
  const registry = new EngineRegistry({ writer: { orm, isolationLevel: 'serializable' } })
  const meet = barrier(2)
  let tries = 0
  const leave = (id: number) =>
    registry.run(
      async ({ dbSession, tm }) => {
        const em = dbSession.writer
        tries++
        const onCall = await em.count(Author, { name: 'on call' })
        if (tm.attempt === 1) await meet()
        if (onCall > 1) await em.nativeUpdate(Author, { id }, { name: 'gone' })
      },
      { attempts: 5 },
    )
  await Promise.all([leave(1), leave(2)])
  assert.is(await look.value(`select count(*) from author where name = 'on call'`), 1)
  assert.is(tries, 3)
})

test('without retrying the second one fails with the serialization error itself, and that is worth retrying', async ({
  orm,
}) => {
  const registry = new EngineRegistry({ writer: { orm, isolationLevel: 'serializable' } })
  const meet = barrier(2)
  const leave = (id: number) =>
    registry.run(async ({ dbSession }) => {
      const em = dbSession.writer
      await em.count(Author, { name: 'on call' })
      await meet()
      await em.nativeUpdate(Author, { id }, { name: 'gone' })
    })
  const failed = (await Promise.allSettled([leave(1), leave(2)])).filter(({ status }) => status === 'rejected')
  assert.is(failed.length, 1)
  const { reason } = failed[0] as PromiseRejectedResult
  assert.is(reason.code, '40001')
  assert.ok(isRetryable(reason))
})

test('a deadlock and a lock that is not to be had are worth retrying', async ({ orm }) => {
  const registry = new EngineRegistry({ writer: orm })
  const meet = barrier(2)
  const lockBoth = (first: number, second: number) =>
    registry.run(async ({ dbSession }) => {
      const em = dbSession.writer
      await em.nativeUpdate(Author, { id: first }, { name: 'a' })
      await meet()
      await em.nativeUpdate(Author, { id: second }, { name: 'b' })
    })
  const settled = await Promise.allSettled([lockBoth(1, 2), lockBoth(2, 1)])
  const deadlock = (settled.find(({ status }) => status === 'rejected') as PromiseRejectedResult).reason
  assert.is(deadlock.code, '40P01')
  assert.ok(isRetryable(deadlock))

  const notAvailable = await rejection(
    registry.run(async ({ dbSession }) => {
      await dbSession.writer.nativeUpdate(Author, { id: 1 }, { name: 'a' })
      await registry.run(({ dbSession: inner }) =>
        inner.writer.execute('select * from author where id = 1 for update nowait'),
      )
    }),
  )
  assert.is((notAvailable as { code?: string }).code, '55P03')
  assert.ok(isRetryable(notAvailable))
})

test('an optimistic lock and a commit that failed for a retryable reason are worth retrying', () => {
  assert.ok(isRetryable(new OptimisticLockError('changed meanwhile')))
  assert.ok(isRetryable(new TransactionAbortedError('writer', Object.assign(new Error('x'), { code: '40001' }))))
  assert.not.ok(isRetryable(new TransactionAbortedError('writer', Object.assign(new Error('x'), { code: '23505' }))))
})

test('constraint violations, syntax errors and whatever else happened are not', async ({ orm }) => {
  const registry = new EngineRegistry({ writer: orm })
  let tries = 0
  const failing = (sql: string) =>
    rejection(
      registry.run(
        ({ dbSession }) => {
          tries++
          return dbSession.writer.execute(sql)
        },
        { attempts: 3 },
      ),
    )
  for (const sql of [
    'insert into author (id, name) values (1, null)',
    `insert into author (id, name) values (1, 'x')`,
    'selec 1',
  ]) {
    assert.not.ok(isRetryable(await failing(sql)))
  }
  assert.is(tries, 3)
  for (const error of [new Error('40001'), null, undefined, 'SQLITE_BUSY', { code: 40001 }, { code: 'ECONNREFUSED' }]) {
    assert.not.ok(isRetryable(error))
  }
})

test('a try that failed leaves nothing: sessions are new, its entities and rows are gone', async ({ orm, look }) => {
  const registry = new EngineRegistry({ writer: orm })
  const managers = new Set()
  await registry.run(
    async ({ dbSession, tm }) => {
      const em = dbSession.writer
      managers.add(em)
      em.create(Book, { title: 'the same title each time' })
      await em.flush()
      if (tm.attempt < 3) throw Object.assign(new Error('again'), { code: '40001' })
    },
    { attempts: 3 },
  )
  assert.is(managers.size, 3)
  assert.is(await look.value('select count(*) from book'), 1)
})

test.run()

const sqlite = databaseSuite('errors worth retrying on SQLite', 'sqlite')

sqlite('SQLITE_BUSY is worth retrying', async ({ orm, target }) => {
  const other = await secondLook(target)
  const impatient = await openOrm(target, { config: { driverOptions: { timeout: 0 } } })
  await other.rows('begin immediate')
  const registry = new EngineRegistry({ writer: impatient })
  let tries = 0
  await registry.run(
    async ({ dbSession, tm }) => {
      tries = tm.attempt
      const busy = dbSession.writer.insert(Author, { name: 'x' })
      const error = await busy.then(
        () => undefined,
        (reason: Error & { code?: string }) => reason,
      )
      if (error === undefined) return
      assert.is(error.code, 'SQLITE_BUSY')
      assert.ok(isRetryable(error))
      await other.rows('rollback')
      throw error
    },
    { attempts: 2 },
  )
  assert.is(tries, 2)
  await other.close()
  await impatient.close()
  assert.is(await orm.em.fork().count(Author), 1)
})

sqlite.run()
