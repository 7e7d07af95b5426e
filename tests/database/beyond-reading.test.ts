import * as assert from 'uvu/assert'
import { beyondReading, type BeyondReading } from '../../source/database/beyond-reading.ts'
import { suite } from '../support/suite.ts'

/** What is found in a statement that runs alone, and in one of a transaction. */
const FOUND: readonly (readonly [sql: string, alone: BeyondReading | undefined, within: BeyondReading | undefined])[] =
  [
    ['select 1', undefined, undefined],
    [`select ';', 'pg_advisory_lock(1)', "set_config" from t /* set_config(1) */`, undefined, undefined],
    ['SELECT pg_advisory_lock from t', undefined, undefined],
    ['select pg_advisory_lock(1)', 'outlives', 'outlives'],
    ['select PG_CATALOG . Pg_Try_Advisory_Lock_Shared (1)', 'outlives', 'outlives'],
    ['select 1 from t where "pg_advisory_unlock_all"() is null', 'outlives', 'outlives'],
    ['with a as (select pg_advisory_xact_lock(1)) select 1', 'holds for no other', undefined],
    [`select set_config('a', 'b', false)`, 'holds for no other', undefined],
    ['set a = 1', 'holds for no other', undefined],
    ['/* a */ reset a', 'holds for no other', undefined],
    ['fetch all from c', 'holds for no other', undefined],
    ['rollback to a', 'holds for no other', undefined],
    ['set transaction_read_only = off', 'holds for no other', 'lifts read only'],
    ['set session characteristics as transaction read write', 'holds for no other', 'lifts read only'],
    ['set transaction read only', 'holds for no other', undefined],
    ['listen news', 'outlives', 'outlives'],
    ['attach database a as b', 'outlives', 'outlives'],
    ['explain analyze create table a as select 1', 'writes', 'writes'],
    ['select lo_create(0)', 'writes', 'writes'],
    [`select "lo_from_bytea" (0, 'a'), lo_get(1)`, 'writes', 'writes'],
    ['select 1 where lowrite(lo_open(1, 131072), $1) > 0', 'writes', 'writes'],
    ['select lo_get(1), lo_create from t', undefined, undefined],
    ['explain (analyze, costs off) create materialized view a as select 1', 'writes', 'writes'],
    ['explain create table a as select 1', undefined, undefined],
    ['explain analyze select a as create from t', undefined, undefined],
    ['select 1;', undefined, undefined],
    ['select 1; -- nothing', undefined, undefined],
    ['select 1; select 2', 'is several', 'is several'],
    [';', undefined, undefined],
    ['', undefined, undefined],
  ]

const test = suite('what goes beyond reading')

for (const [sql, alone, within] of FOUND) {
  test(`"${sql}": ${alone ?? 'nothing'} alone, ${within ?? 'nothing'} within a transaction`, () => {
    assert.is(beyondReading(sql, 'postgresql', 'statement'), alone)
    assert.is(beyondReading(sql, 'postgresql', 'transaction'), within)
  })
}

test('a pragma that sets something outlives its statement, one that asks does not', () => {
  for (const sql of ['pragma foreign_keys = on', 'pragma main.cache_size(9)', 'pragma query_only = 1']) {
    assert.is(beyondReading(sql, 'sqlite', 'transaction'), 'outlives', sql)
  }
  for (const sql of [
    'pragma foreign_keys',
    'pragma main.table_xinfo(a)',
    `pragma index_list('a')`,
    'pragma quick_check(1)',
  ]) {
    assert.is(beyondReading(sql, 'sqlite', 'statement'), undefined, sql)
  }
})

test.run()
