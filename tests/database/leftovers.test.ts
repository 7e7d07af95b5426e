/** What statements leave on their connection, by their text, and what PostgreSQL says that they left. */
import pg from 'pg'
import * as assert from 'uvu/assert'
import { leftoversAmong, leftoversOf, type Leftovers } from '../../source/database/leftovers.ts'
import { createDatabase } from '../support/postgres.ts'
import { suite } from '../support/suite.ts'

const TABLES = new Set(['note', 'author'])
const relations = { tables: TABLES, views: ['seen'], lively: ['seen'] }

const ON_POSTGRES: readonly (readonly [Leftovers, string])[] = [
  ['some', `set search_path to pg_catalog`],
  ['some', `/* a */ SET -- b\nrole pg_monitor`],
  ['some', `set session characteristics as transaction read only`],
  ['some', `reset app.tenant; set app.tenant = 'A'`],
  ['some', `select set_config('app.tenant', 'A', false)`],
  ['some', `select pg_catalog.set_config('app.tenant', upper('a'), false) from note`],
  ['some', `select * from note where set_config('app.tenant', 'A', not true) = 'A'`],
  ['some', `select pg_advisory_lock(1)`],
  ['some', `with taken as (select pg_try_advisory_lock(1, 2) as it) select it from taken`],
  ['some', `listen news`],
  ['some', `prepare mine as select 1`],
  ['some', `declare mine no scroll cursor with hold for select 1`],
  ['some', `create temp table mine (a int)`],
  ['some', `create or replace temporary view mine as select 1 as a`],
  ['some', `select 1 as a into local temporary mine from note`],
  ['some', `select 1; (select 2); select pg_advisory_lock_shared(1)`],
  ['unknown', `select leak()`],
  ['unknown', `select "leak" /* ( */ ()`],
  ['unknown', `select public.now()`],
  ['unknown', `select * from leaky`],
  ['unknown', `table leaky`],
  ['unknown', `select * from note as a(b), "leaky" as c`],
  ['unknown', `select * from (select 1) as a join (note cross join leaky) on true`],
  ['unknown', `select (select max(name) from leaky)`],
  ['unknown', `with a as (select * from leaky) select * from a`],
  ['unknown', `select * from public.leaky`],
  ['unknown', `insert into note select name from leaky`],
  ['unknown', `delete from note using leaky`],
  ['unknown', `update note set name = 'a' from leaky`],
  ['unknown', `insert into note (name) values (leak())`],
  ['unknown', `do $$ begin perform leak(); end $$`],
  ['unknown', `call leak_by_procedure()`],
  ['unknown', `explain analyze select leak()`],
  ['unknown', `declare mine cursor for select leak(); fetch 1 from mine`],
  ['none', `select 1, 'set role x', "leak()" from (values (1)) as a("leak()")`],
  [
    'none',
    `select count(*), max(a.name), now()::timestamptz(3) from note as a, author as b where a.name in ('a', 'b')`,
  ],
  ['none', `with a as materialized (select name from note), c as (select * from a) select * from a, c`],
  [
    'none',
    `select extract(year from now()), 1 is distinct from 2 from note join author using (name) for update of note`,
  ],
  ['none', `insert into note (name) values ('leak()') on conflict do nothing returning name`],
  ['none', `select set_config('app.tenant', 'A', true)`],
  ['none', `set local app.tenant = 'A'; set constraints all deferred; set transaction read only`],
  ['none', `savepoint a; rollback to a; release a`],
  ['none', `lock table note; show search_path; notify news`],
  ['none', `declare mine cursor for select name from note; fetch 1 from mine; close mine`],
]

const LEFT = `select current_user::text, session_user::text, coalesce(current_setting('app.tenant', true), ''), current_setting('search_path'),
  current_setting('default_transaction_read_only'), (select count(*) from pg_prepared_statements where from_sql), (select count(*) from pg_cursors),
  (select count(*) from pg_listening_channels()), (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
  (select count(*) from pg_class where relpersistence = 't')`

const test = suite<{ url: string; client: pg.Client }>('what a statement leaves on its connection')

test.before(async (world) => {
  world.url = await createDatabase()
  world.client = new pg.Client({ connectionString: world.url })
  await world.client.connect()
  await world.client.query(`create table note (name text); create table author (name text);
    create function leak() returns text language sql as $$ select set_config('app.tenant', 'A', false) $$;
    create function public.now() returns text language sql as 'select leak()';
    create procedure leak_by_procedure() language sql as 'select leak()';
    create view leaky as select leak() as name; insert into note values ('a')`)
})
test.after(async ({ client }) => await client.end())

for (const [left, sql] of ON_POSTGRES) {
  test(`${sql}: ${left}`, async ({ client }) => {
    assert.is(
      leftoversOf(sql, (name) => TABLES.has(name)),
      left,
    )
    assert.is(leftoversAmong(sql, true, relations), left)
    const before = await state(client)
    try {
      await client.query(`begin; ${sql}; commit`)
      assert.is((await state(client)) !== before, left !== 'none', 'as PostgreSQL has it')
    } finally {
      await client.query('rollback')
      await client.query('discard all')
    }
  })
}

async function state(client: pg.Client): Promise<string> {
  const { rows } = await client.query({ text: LEFT, rowMode: 'array' })
  return JSON.stringify(rows)
}

test('a statement of MikroORM leaves something by a fragment, a view or a trigger', () => {
  const leaves = (sql: string): boolean => leftoversAmong(sql, false, relations) !== 'none'
  assert.ok(leaves('insert into "note" ("name") values (leak())'))
  assert.ok(leaves('select "n0".*, public . leak(1) as "a" from "note" as "n0"'))
  assert.ok(leaves('select "n0".*, lücké(1) as "a" from "note" as "n0"'))
  assert.ok(leaves('select "s0".* from "seen" as "s0"'))
  assert.not(leaves(`insert into "note" ("name") values ('leak()'), ('b (c)') returning "id"`))
  assert.not(
    leaves(`select count(*) as "count" from "note" as "n0" where "n0"."id" in (1, 2) and lower("n0"."name") = 'a'`),
  )
})

test('a text of 4 MB is judged in one pass', () => {
  const open = `select ${'('.repeat(1e6)}1${')'.repeat(1e6)} from note${', note'.repeat(3e5)}`
  assert.is(
    leftoversOf(open, (name) => TABLES.has(name)),
    'none',
  )
  const data = `insert into "note" ("name") values ('${'f('.repeat(2e6)}')`
  assert.is(leftoversAmong(data, false, relations), 'none')
})

test.run()
