/** A role that only reads is kept to that by the server, whatever the text of a statement shows. */
import { LockMode, raw } from '@mikro-orm/core'
import { sql } from 'kysely'
import * as assert from 'uvu/assert'
import { EngineRegistry, ReadOnlySessionError } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { ormsIdle } from '../support/leaks.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { openWired, type Wired } from '../support/wired.ts'

type Em = any
type Work = (em: Em) => unknown

const all = (rows: AsyncIterable<unknown>): Promise<unknown[]> => Array.fromAsync(rows)

/** Nothing in these texts shows a write. */
const HIDDEN_WRITES: readonly [string, Work][] = [
  ['a function', (em) => em.execute('select hit()')],
  ['a function with a parameter', (em) => em.execute('select hit(), ?::text', ['a'])],
  ['a function behind a semicolon in a literal', (em) => em.execute(`select hit(), '; commit; --'`)],
  ['a view over a function', (em) => em.execute('select x from hits')],
  [
    "Kysely's selectNoFrom",
    (em) =>
      em
        .getKysely()
        .selectNoFrom(sql`hit()`.as('x'))
        .execute(),
  ],
  ['Kysely with parameters', (em) => sql`select hit(), ${1}::int`.execute(em.getKysely())],
  ["a builder's raw", (em) => em.createQueryBuilder(Author).select(raw('hit()')).execute()],
  ['find with raw', (em) => em.find(Author, { [raw('hit()')]: 1 })],
  ['em.stream with raw', (em) => all(em.stream(Author, { where: { [raw('hit()')]: 1 } }))],
  [
    'a stream of Kysely',
    (em) =>
      all(
        em
          .getKysely()
          .selectNoFrom(sql`hit()`.as('x'))
          .stream(),
      ),
  ],
  ["a stream of the connection's", (em) => all(em.getConnection().stream('select hit()'))],
  ['em.transactional', (em) => em.transactional((nested: Em) => nested.execute('select hit()'))],
  ['EXPLAIN ANALYZE of a function', (em) => em.execute('explain analyze select hit()')],
  ['EXPLAIN ANALYZE that creates', (em) => em.execute('explain (analyze) create table made as select 1 as x')],
  ['a row lock', (em) => em.execute('select * from author for update')],
  ['a lock mode', (em) => em.find(Author, {}, { lockMode: LockMode.PESSIMISTIC_WRITE })],
  ["a builder's lock mode", (em) => em.qb(Author).setLockMode(LockMode.PESSIMISTIC_READ).getResult()],
  ['em.lock', async (em) => em.lock(await em.findOneOrFail(Author, { name: 'first' }), LockMode.PESSIMISTIC_WRITE)],
  ['executeDump', (em) => em.getConnection().executeDump(`insert into author (name) values ('dumped')`)],
  ['the native client', async (em) => (await em.getConnection().getNativeClient()).query('select hit()')],
  ['a transaction of the connection', (em) => em.getConnection().transactional(() => undefined)],
]

/** What would have no effect where each statement runs alone, or more of it than the session lives. */
const BEYOND_A_STATEMENT: readonly string[] = [
  `set local app.tenant = 'a'`,
  `set app.tenant = 'a'`,
  'set role pg_monitor',
  'reset all',
  `select set_config('app.tenant', 'a', true)`,
  `select "pg_catalog"."set_config" ('app.tenant', 'a', false)`,
  'select pg_advisory_lock(1)',
  'select pg_try_advisory_xact_lock(1)',
  'savepoint a',
  'declare c cursor for select 1',
  'set transaction_read_only = off',
  'set transaction read write',
  'set transaction_read_only = off; select hit()',
  'select 1; select hit()',
]
const BEYOND_A_TRANSACTION: readonly string[] = [
  'set transaction_read_only = off',
  'set local transaction_read_only to off',
  'set default_transaction_read_only = off',
  'set transaction isolation level read committed, read write',
  'select pg_advisory_lock(1)',
  'select pg_try_advisory_lock_shared(1)',
  'set transaction_read_only = off; select hit()',
]
const READS: readonly string[] = [
  'select name from author',
  '/* /* commit */ */ select name from author;',
  'table author',
  'values (1);',
  '(select name from author)',
  'with a as (select 1) select * from a -- to the end',
  'show server_version',
  'explain select * from author',
  'explain analyze select * from author',
  `select 'pg_advisory_lock(1); set_config(1)' as "for update"`,
  '',
  ' -- nothing',
]

for (const readOnly of [true, 'snapshot'] as const) {
  const test = suite<Wired>(`readOnly: ${readOnly} is kept to reading by PostgreSQL`)

  test.before(async (world) => {
    Object.assign(world, await openWired({ poolMax: 1 }))
    await world.look.rows(`insert into author (name) values ('first')`)
    await world.look.rows(`create function hit() returns int language plpgsql as
      $$ begin insert into author (name) values ('hit'); return 1; end $$`)
    await world.look.rows('create view hits as select hit() as x')
  })
  test.before.each(({ wire }) => wire.reset())
  test.after.each(async ({ orm }) => await ormsIdle(orm))
  test.after(({ close }) => close())

  const run = async ({ orm }: Wired, work: Work): Promise<unknown> =>
    await new EngineRegistry({ archive: { orm, readOnly } }).run(({ dbSession }) => work(dbSession.archive))

  for (const [name, work] of HIDDEN_WRITES) {
    test(`${name} stores and locks nothing, and the error says so`, async (world) => {
      const error = await rejection(run(world, work))
      assert.instance(error, ReadOnlySessionError)
      assert.match(error.message, /"archive" is read only/)
      const stored = `select (select count(*)::int from author) as authors, to_regclass('made') as made`
      assert.equal(await world.look.rows(stored), [{ authors: 1, made: null }])
    })
  }

  test('a large object is refused, also where PostgreSQL itself is too old for that', async (world) => {
    const error = await rejection(run(world, (em) => em.execute('select lo_create(0)')))
    assert.instance(error, ReadOnlySessionError)
    assert.is(await world.look.value('select count(*)::int from pg_largeobject_metadata'), 0)
  })

  for (const statement of readOnly === true ? BEYOND_A_STATEMENT : BEYOND_A_TRANSACTION) {
    test(`"${statement}" is refused before it is sent`, async (world) => {
      const error = await rejection(run(world, (em) => em.execute(statement)))
      assert.instance(error, ReadOnlySessionError)
      assert.equal(
        world.wire.sql().filter((sent) => sent.includes(statement)),
        [],
      )
      assert.is(await world.look.value('select count(*) from author'), 1)
    })
  }

  for (const statement of READS) {
    test(`"${statement}" is let through`, async (world) => {
      assert.ok(Array.isArray(await run(world, (em) => em.execute(statement))))
    })
  }

  test('what a function sets is not there for the next to have the connection', async (world) => {
    await world.look.rows(`create or replace function sets() returns int language plpgsql as
      $$ begin perform set_config('app.tenant', 'seven', false); return 1; end $$`)
    const tenant = (em: Em): Promise<unknown> => em.execute(`select current_setting('app.tenant', true) as tenant`)
    await run(world, (em) => em.execute('select sets()'))
    const [row] = (await run(world, tenant)) as { tenant: string | null }[]
    assert.ok(row!.tenant === null || row!.tenant === '')
  })

  for (const statement of [
    'select 1 as é, nothing from author',
    'select * from',
    `select 'not ended`,
    'select 1 /* not ended',
    'select nothing from author;',
    'select 1 / 0',
  ]) {
    test(`the error of "${statement}" is that of the statement alone`, async (world) => {
      const error: any = await rejection(run(world, (em) => em.execute(statement)))
      const alone: any = await rejection(world.look.rows(statement))
      assert.equal([error.code, error.position], [alone.code, alone.position])
      assert.ok(error.message.endsWith(alone.message), error.message)
    })
  }

  test('a read behind one that failed has a connection, and its own transaction', async (world) => {
    const rows = await run(world, async (em) => {
      if (readOnly === true) await rejection(em.execute('select 1 / 0'))
      return await em.execute('select name from author')
    })
    assert.equal(rows, [{ name: 'first' }])
  })

  test.run()
}

const snapshots = suite<Wired>(`the transaction of readOnly: 'snapshot'`)

snapshots.before(async (world) => void Object.assign(world, await openWired({ poolMax: 2 })))
snapshots.after(({ close }) => close())

snapshots('has what SET LOCAL says, a savepoint of the program, a cursor and a lock to its end', async ({ orm }) => {
  const registry = new EngineRegistry({ archive: { orm, readOnly: 'snapshot' } })
  const row = await registry.run(async ({ dbSession }) => {
    const em: Em = dbSession.archive
    await em.execute(`set local app.tenant = 'seven'`)
    await em.execute('savepoint a')
    await em.execute('declare c cursor for select 1 as one')
    const locked = await em.execute('select pg_try_advisory_xact_lock(7) as locked')
    const fetched = await em.execute('fetch all from c')
    await em.execute('rollback to a')
    return [...fetched, ...locked, ...(await em.execute(`select current_setting('app.tenant') as tenant`))]
  })
  assert.equal(row, [{ one: 1 }, { locked: true }, { tenant: 'seven' }])
})

snapshots('can take over the snapshot of another transaction', async ({ orm, look }) => {
  await look.rows('begin isolation level repeatable read')
  const id = await look.value('select pg_export_snapshot()')
  const registry = new EngineRegistry({ archive: { orm, readOnly: 'snapshot' } })
  const count = await registry.run(async ({ dbSession }) => {
    await (dbSession.archive as Em).execute(`set transaction snapshot '${String(id)}'`)
    return await (dbSession.archive as Em).count(Author)
  })
  assert.is(count, 0)
  await look.rows('rollback')
})

snapshots('does not become one that writes by a function, not even by its first statement', async ({ orm, look }) => {
  await look.rows(`create function lift() returns text language plpgsql as $$ begin
    perform set_config('transaction_read_only', 'off', true);
    insert into author (name) values ('lifted');
    return 'lifted';
  end $$`)
  for (const readOnly of [true, 'snapshot'] as const) {
    const registry = new EngineRegistry({ archive: { orm, readOnly } })
    const error: any = await rejection(
      registry.run(({ dbSession }) => (dbSession.archive as Em).execute('select lift()')),
    )
    assert.is(error.code, '25001')
    assert.is(await look.value('select count(*) from author'), 0)
    await registry.close()
  }
})

snapshots.run()
