/** Writes that no text shows, in sessions that nobody marked: the database is asked, and finds them. */
import { defineEntity, LockMode, p, raw } from '@mikro-orm/core'
import { sql } from 'kysely'
import * as assert from 'uvu/assert'
import { EngineRegistry, UnmarkedWriteError, type EngineOptions } from '../../source/index.ts'
import { Author, ENTITIES } from '../support/entities.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { rejection } from '../support/rejection.ts'
import { warnings } from '../support/warnings.ts'
import { openWired } from '../support/wired.ts'

type Em = any
type Work = (em: Em, txn: any) => unknown

const Hit = defineEntity({
  name: 'Hit',
  tableName: 'hits',
  view: true,
  expression: 'select hit() as x',
  properties: { x: p.integer().primary() },
})

const test = databaseSuite('hidden writes', 'postgresql', { poolMax: 1, config: { entities: [...ENTITIES] } })

test.before(async ({ orm, look }) => {
  await look.rows(`create function hit() returns int language plpgsql as
    $$ begin insert into author (name) values ('hit'); return 1; end $$`)
  await look.rows(`create function miss() returns int language plpgsql as $$ begin return 1; end $$`)
  await look.rows(`create function keeps() returns int language plpgsql as
    $$ begin execute 'create or replace function kept() returns int language sql as ''select 1'''; return 1; end $$`)
  await look.rows('create view hits as select hit() as x')
  orm.discoverEntity(Hit)
})
test.before.each(async ({ look }) => void (await look.rows(`insert into author (name) values ('first')`)))

const one = (em: Em): Promise<unknown> => em.findOneOrFail(Author, { name: 'first' })
const lock = (em: Em): Promise<unknown> => em.find(Author, {}, { lockMode: LockMode.PESSIMISTIC_WRITE })

/** Each calls a function by its name. */
const WAYS: readonly [string, (em: Em, name: string) => unknown][] = [
  ['raw SQL', (em, name) => em.execute(`select ${name}()`)],
  [
    "Kysely's selectNoFrom",
    (em, name) =>
      em
        .getKysely()
        .selectNoFrom(sql.raw(`${name}()`).as('x'))
        .execute(),
  ],
  [
    "Kysely's fn",
    (em, name) =>
      em
        .getKysely()
        .selectNoFrom((eb: any) => eb.fn(name).as('x'))
        .execute(),
  ],
  ['Kysely with parameters', (em, name) => sql`select ${sql.raw(name)}(), ${1}::int`.execute(em.getKysely())],
  [
    "a builder's raw",
    (em, name) =>
      em
        .createQueryBuilder(Author)
        .select(raw(`${name}()`))
        .execute(),
  ],
  ['find with raw', (em, name) => em.find(Author, { [raw(`${name}()`)]: 1 })],
  ['count with raw', (em, name) => em.count(Author, { [raw(`${name}()`)]: 1 })],
  ['a stream', async (em, name) => await Array.fromAsync(em.stream(Author, { where: { [raw(`${name}()`)]: 1 } }))],
  ['em.transactional', (em, name) => em.transactional((nested: Em) => nested.execute(`select ${name}()`))],
]

/** What comes before it. */
const BESIDE: readonly [string, Work][] = [
  ['alone', () => undefined],
  ['beside a find for a value that reads "for update"', (em) => em.find(Author, { name: `waits for update; x(1)` })],
  ['beside a row lock', lock],
  ['beside a row lock of raw SQL', (em) => em.execute('select * from author for share')],
  [
    'behind a savepoint that was rolled back',
    async (em, txn) => {
      await one(em)
      const savepoint = await txn.savepoint()
      await em.insert(Author, { name: 'undone' })
      await savepoint.rollback()
    },
  ],
  [
    'behind em.transactional() that failed',
    (em) =>
      rejection(
        em.transactional(async (nested: Em) => {
          await nested.insert(Author, { name: 'undone' })
          throw new Error('fails')
        }),
      ),
  ],
  [
    'behind a savepoint of the program that was rolled back',
    async (em) => {
      await em.execute('savepoint mine')
      await em.execute(`insert into author (name) values ('undone')`)
      await em.execute('rollback to mine')
    },
  ],
  [
    'behind locks that a savepoint let go',
    async (em, txn) => {
      await one(em)
      const savepoint = await txn.savepoint()
      await lock(em)
      await savepoint.rollback()
    },
  ],
]

async function run({ orm }: DatabaseWorld, rawWrites: EngineOptions['rawWrites'], work: Work): Promise<void> {
  const registry = new EngineRegistry({ writer: { orm, rawWrites } })
  await registry.run(async ({ dbSession, txn }) => void (await work(dbSession.writer, txn)))
}

const names = async ({ look }: DatabaseWorld): Promise<unknown> =>
  (await look.rows('select name from author order by id')).map(({ name }) => name)

for (const [how, call] of WAYS) {
  for (const [where, beside] of BESIDE) {
    test(`a function that writes, by ${how}, ${where}: warned of, committed or an error, as rawWrites says`, async (world) => {
      const work: Work = async (em, txn) => {
        await beside(em, txn)
        await call(em, 'hit')
      }
      const seen = await warnings('SQLASSIST_UNMARKED_WRITE', () => run(world, 'rollback', work))
      assert.is(seen.length, 1)
      assert.match(seen[0]!.message, /hit/)
      assert.equal(await names(world), ['first'])
      const error = await rejection(run(world, 'error', work))
      assert.instance(error, UnmarkedWriteError)
      assert.match(error.message, /hit/)
      assert.equal(await names(world), ['first'])
      await run(world, 'commit', work)
      assert.equal(await names(world), ['first', 'hit'])
    })

    test(`a function that only reads, by ${how}, ${where}, is no write`, async (world) => {
      const work: Work = async (em, txn) => {
        await beside(em, txn)
        await call(em, 'miss')
      }
      // Counters of the connection may not have been reported yet.
      await run(world, 'commit', (em) => em.insert(Author, { name: 'before' }))
      const seen = await warnings('SQLASSIST_UNMARKED_WRITE', () => run(world, 'rollback', work))
      assert.is(seen.length, 0)
      await run(world, 'error', work)
      assert.equal(await names(world), ['first', 'before'])
    })
  }
}

test('a view over a function that writes is found out', async (world) => {
  assert.instance(await rejection(run(world, 'error', (em) => em.find(Hit, {}))), UnmarkedWriteError)
  await run(world, 'commit', (em) => em.getKysely().selectFrom('hits').selectAll().execute())
  assert.equal(await names(world), ['first', 'hit'])
})

test('a large object and a definition are writes as well, and a large object that is read is none', async (world) => {
  const id = await world.look.value(`select lo_from_bytea(0, 'b')`)
  await run(world, 'error', async (em) => {
    await lock(em)
    await em.execute(`select lo_get(${String(id)})`)
  })
  const count = (): Promise<unknown> => world.look.value('select count(*) from pg_largeobject_metadata')
  for (const statement of ['select lo_create(0)', `select lo_from_bytea(0, 'a')`]) {
    const before = Number(await count())
    const work: Work = async (em) => {
      await lock(em)
      await em.execute(statement)
    }
    assert.instance(await rejection(run(world, 'error', work)), UnmarkedWriteError)
    await run(world, 'commit', work)
    assert.is(Number(await count()), before + 1)
  }
  await run(world, 'commit', (em) => em.execute('select keeps()'))
  assert.is(await world.look.value('select kept()'), 1)
})

test('a write is not lost that was marked before the savepoint, nor one behind it', async (world) => {
  const work: Work = async (em, txn) => {
    await em.execute('select hit()')
    const savepoint = await txn.savepoint()
    await em.execute('select hit()')
    await savepoint.rollback()
  }
  await run(world, 'commit', work)
  assert.equal(await names(world), ['first', 'hit'])
  assert.instance(await rejection(run(world, 'error', work)), UnmarkedWriteError)
})

test('the question goes along with the ROLLBACK, where what is found is only warned of', async () => {
  const { orm, wire, close } = await openWired()
  const registry = new EngineRegistry({ writer: { orm } })
  wire.reset()
  await registry.run(({ dbSession: { writer } }) =>
    (writer as Em).find(Author, { [raw('pg_notification_queue_usage()')]: 7 }),
  )
  await registry.close()
  const trips = wire.trips().map(({ messages }) => messages.join(';'))
  await close()
  assert.is(trips.length, 2)
  assert.match(trips[0]!, /^begin;select/)
  assert.match(trips[1]!, /as wrote;.*rollback$/s)
})

test('plain reads of MikroORM ask the database nothing at their end, whatever their values', async () => {
  const { orm, wire, close } = await openWired()
  for (const rawWrites of ['rollback', 'commit', 'error'] as const) {
    const registry = new EngineRegistry({ writer: { orm, rawWrites } })
    wire.reset()
    await registry.run(async ({ dbSession: { writer } }) => {
      await (writer as Em).find(Author, { name: `for update; hit()` })
      await (writer as Em).count(Author)
    })
    await registry.close()
    assert.equal(
      wire.sql().map((statement) => statement.slice(0, 8)),
      ['begin', 'select "', 'select c', 'rollback'],
    )
  }
  await close()
})

test.run()
