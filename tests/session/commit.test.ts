import * as assert from 'uvu/assert'
import {
  CommitOutcomeUnknownError,
  ConnectionLostError,
  EngineRegistry,
  ManagedSessionError,
  TransactionAbortedError,
} from '../../source/index.ts'
import { clearTables } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { openDatabase, type TestOrm } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWired, type Wired } from '../support/wired.ts'

const POOL = 3
const TIMES = 50

interface World extends Wired {
  other: DatabaseWorld
}

const test = suite<World>('the commit on PostgreSQL')

test.before(async (world) => {
  Object.assign(world, await openWired({ poolMax: POOL }))
  world.other = await openDatabase('postgresql')
  await world.look.rows('alter table book add constraint deferred unique (author_id) deferrable initially deferred')
})
test.before.each(({ look, other }) => clearTables(look, other.look))
test.after(async ({ other, close }) => {
  await other.close()
  await close()
})

test('a failed statement that was swallowed fails the vote, with that error as cause, before any other role commits', async (world) => {
  const registry = new EngineRegistry({ another: world.other.orm, writer: world.orm })
  const error = await rejection(
    registry.run(async ({ dbSession }) => {
      await (dbSession.another as any).insert(Author, { name: 'elsewhere' })
      const em: any = dbSession.writer
      await em.insert(Author, { name: 'kept?' })
      await em.insert(Book, { title: 'twice' })
      await rejection(em.insert(Book, { title: 'twice' }))
      await rejection(em.execute('select 1 / 0'))
    }),
  )
  assert.instance(error, TransactionAbortedError)
  assert.match(error.message, /"writer" failed earlier/)
  assert.is((error.cause as { code: string }).code, '23505', 'the first error, not a later one')
  assert.is(await world.look.value('select count(*) from author'), 0)
  assert.is(await world.other.look.value('select count(*) from author'), 0)
  await poolIdle(world.pool)
})

test('a failed statement in a nested transaction that rolled back does not stand in the way of the commit', async (world) => {
  await new EngineRegistry({ writer: world.orm }).run(async ({ dbSession }) => {
    const em: any = dbSession.writer
    await em.insert(Author, { name: 'kept' })
    await rejection(em.transactional((nested: any) => nested.execute('select 1 / 0')))
  })
  assert.is(await world.look.value('select count(*) from author'), 1)
})

test('a deferred constraint that fails at COMMIT is that error, and nothing is stored', async (world) => {
  const error = await rejection(
    new EngineRegistry({ writer: world.orm }).run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      const author = em.create(Author, { name: 'one' })
      em.create(Book, { title: 'a', author })
      em.create(Book, { title: 'b', author })
    }),
  )
  assert.is((error as { code?: string }).code, '23505')
  assert.is(await world.look.value('select count(*) from book'), 0)
  await poolIdle(world.pool)
})

for (const sql of [
  'commit',
  'COMMIT AND CHAIN',
  'rollback',
  'end',
  'abort',
  'begin',
  'start transaction',
  `prepare transaction 'x'`,
  '/* hidden */ commit',
  'select 1; commit',
  `insert into author (name) values ('x'); rollback; begin`,
]) {
  test(`raw "${sql}" is refused, nothing of it is sent, and the session goes on`, async (world) => {
    await new EngineRegistry({ writer: world.orm }).run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      await em.insert(Author, { name: 'kept' })
      world.wire.reset()
      const error = await rejection(em.execute(sql))
      assert.instance(error, ManagedSessionError)
      assert.equal(world.wire.sql(), [])
    })
    assert.is(await world.look.value('select count(*) from author'), 1)
  })
}

for (const sql of [
  'savepoint mine',
  `select 'a; commit'`,
  `do $$ begin perform 1; end $$`,
  `create or replace function harmless() returns int language plpgsql as $$ begin return 1; end $$`,
]) {
  test(`raw "${sql}" ends no transaction and is let pass`, async (world) => {
    await new EngineRegistry({ writer: { orm: world.orm, initialState: 'changed' } }).run(async ({ dbSession }) => {
      await (dbSession.writer as any).execute(sql)
    })
  })
}

/** `TIMES` runs in which the connection dies at that point; the errors they end with. */
async function dying(world: World, kill: (em: any, pid: number) => Promise<unknown>): Promise<Error[]> {
  const registry = new EngineRegistry({ writer: world.orm })
  const errors: Error[] = []
  for (let time = 0; time < TIMES; time++) {
    await registry
      .run(async ({ dbSession }) => {
        const em: any = dbSession.writer
        await em.insert(Author, { name: `${time}` })
        const [{ pid }] = await em.execute('select pg_backend_pid() as pid')
        await kill(em, pid)
      })
      .catch((error: Error) => errors.push(error))
  }
  await poolIdle(world.pool)
  assert.ok(world.pool.totalCount <= POOL)
  await Promise.all(
    Array.from({ length: POOL * 2 }, () => registry.run(({ dbSession }) => (dbSession.writer as any).count(Author))),
  )
  await poolIdle(world.pool)
  return errors
}

async function terminate(pid: number): Promise<void> {
  await (await postgres()).adminQuery('select pg_terminate_backend($1)', [pid])
}

test(`a connection that dies idle in its transaction, ${TIMES} times: each run ends, nothing is stored, the pool works`, async (world) => {
  const errors = await dying(world, async (_, pid) => {
    const { connections } = world.wire
    await terminate(pid)
    await until(() => world.wire.connections < connections, 'the connection to be closed')
  })
  assert.is(errors.length, TIMES)
  assert.is(await world.look.value('select count(*) from author'), 0)
  for (const error of errors) {
    assert.ok(error instanceof ConnectionLostError || error instanceof CommitOutcomeUnknownError, String(error))
  }
})

test(`a connection that dies during a statement, ${TIMES} times: each run ends with the server's word as cause, the pool works`, async (world) => {
  const errors = await dying(world, async (em, pid) => {
    const running = rejection(em.execute('select pg_sleep(60)'))
    await terminate(pid)
    throw await running
  })
  assert.is(errors.length, TIMES)
  assert.ok(
    errors.every(({ cause }) => (cause as { code?: string }).code === '57P01'),
    String(errors[0]),
  )
  assert.is(await world.look.value('select count(*) from author'), 0)
})

test(`a connection that dies during COMMIT, ${TIMES} times: the outcome is unknown and said so, the pool works`, async (world) => {
  const errors = await dying(world, async () => world.wire.cut(/^commit/i, 'after'))
  assert.is(errors.length, TIMES)
  for (const error of errors) assert.instance(error, CommitOutcomeUnknownError)
  assert.match(errors[0]!.message, /"writer".*may or may not/s)
  assert.is(await world.look.value('select count(*) from author'), TIMES, 'these were in fact carried out')
})

/** Six first statements at once, whose BEGIN fails. */
async function firstStatements(
  registry: EngineRegistry<{ writer: TestOrm }>,
): Promise<PromiseSettledResult<unknown>[]> {
  let outcomes: PromiseSettledResult<unknown>[] = []
  const error = await rejection(
    registry.run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      const statements = [0, 1, 2].flatMap(() => [em.count(Author), em.insert(Author, { name: 'never' })])
      outcomes = await Promise.allSettled(statements)
      em.create(Author, { name: 'never' })
    }),
  )
  assert.instance(error, (outcomes[0] as PromiseRejectedResult).reason.constructor)
  return outcomes
}

test('a BEGIN that failed stays failed for every statement of its session, and the next run works', async (world) => {
  const registry = new EngineRegistry({ writer: world.orm })
  await world.wire.down()
  const outcomes = await firstStatements(registry)
  await world.wire.up()
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  await registry.run(({ dbSession }) => (dbSession.writer as any).insert(Author, { name: 'later' }))
  assert.equal(await world.look.rows('select name from author'), [{ name: 'later' }])
  await poolIdle(world.pool)
})

test.run()

const sqlite = databaseSuite('the commit on SQLite', 'sqlite')

sqlite('a BEGIN that failed stays failed for every statement of its session, and the next run works', async (world) => {
  const registry = new EngineRegistry({ writer: world.orm })
  const handle: any = await world.orm.em.getConnection().getNativeClient()
  handle.pragma('busy_timeout = 0')
  await world.look.rows('begin immediate')
  const outcomes = await firstStatements(registry)
  await world.look.rows('rollback')
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  await registry.run(({ dbSession }) => (dbSession.writer as any).insert(Author, { name: 'later' }))
  assert.equal(await world.look.rows('select name from author'), [{ name: 'later' }])
})

sqlite('a deferred constraint that fails at COMMIT is that error, and nothing is stored', async ({ orm, look }) => {
  await look.rows(
    `create table note (id integer primary key, author_id integer references author deferrable initially deferred)`,
  )
  const registry = new EngineRegistry({ writer: { orm, initialState: 'changed' } })
  const error = await rejection(
    registry.run(({ dbSession }) => (dbSession.writer as any).execute('insert into note (author_id) values (999)')),
  )
  assert.is((error as { code?: string }).code, 'SQLITE_CONSTRAINT_FOREIGNKEY')
  assert.is(await look.value('select count(*) from note'), 0)
  await registry.run(({ dbSession }) => (dbSession.writer as any).execute('insert into note (author_id) values (null)'))
  assert.is(await look.value('select count(*) from note'), 1)
})

sqlite.run()
