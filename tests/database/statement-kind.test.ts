import * as assert from 'uvu/assert'
import type { SqlDialect } from '../../source/database/sql-tokens.ts'
import { savepointStep, statementKind, type StatementKind } from '../../source/database/statement-kind.ts'
import { suite } from '../support/suite.ts'

const KINDS: Readonly<Record<StatementKind, readonly string[]>> = {
  read: [
    'select 1',
    `select "updated_at", "deleted", "inserted_by", "into_it" from "merges"`,
    `select * from note where text = 'please update it; delete from nothing'`,
    'SELECT now()',
    '  /* why */ select 1',
    'table note',
    'with a as (select 1) select * from a',
    'explain select 1',
    'show all',
    'savepoint a',
    'rollback to a',
    'select * from note for update',
    'with a as (select * from note for no key update of note) select * from a, set',
    '-- nothing',
    '',
  ],
  write: [
    'insert into note values (1)',
    `select nextval('ids')`,
    `select pg_catalog.setval('ids', 1)`,
    `select pg_notify('a', 'b')`,
    'select * into copy from note',
    'select 1; delete from note',
    'select(1);update note set a = 1',
    'with a as (insert into note values (1) returning *) select * from a',
    'with/**/a as (delete/**/from note returning 1) select * from a',
    'with a as (update note set a = 1 returning 1) select * from a',
    'explain analyze merge into note using a on true when matched then do nothing',
    'create table a (b int)',
    'truncate note',
    'lock table note',
    'values (1); delete from note',
    'select 1; create table a (b int)',
    'with a as (update only "x"."note" as n set a = 1 returning 1) select * from a',
  ],
  control: [
    'commit',
    'COMMIT AND CHAIN',
    '/* hidden */ rollback',
    'select 1; commit',
    `select ';'; commit`,
    'begin',
    'end',
    'abort',
    'start transaction',
    `prepare transaction 'a'`,
    'insert into note values (1); rollback',
    'create table a (b int); commit',
  ],
}

const test = suite('what a statement does, by its text')

for (const [kind, statements] of Object.entries(KINDS)) {
  for (const sql of statements) {
    test(`${kind}: ${sql === '' ? 'nothing' : sql}`, () => assert.is(statementKind(sql), kind))
  }
}

test('what is done with a savepoint of the program is known behind comments and empty statements', () => {
  const step = (sql: string) => Object.values(savepointStep(sql) ?? {})
  for (const sql of [
    'rollback to a',
    '; /* a */ ROLLBACK -- b\nWORK to savepoint A; select 1',
    '/* a */rollback transaction to"a"',
  ]) {
    assert.equal(step(sql), ['rollback', 'a'], sql)
  }
  for (const sql of ['savepoint a', '/* b */ SAVEPOINT A', ';savepoint "a"'])
    assert.equal(step(sql), ['savepoint', 'a'], sql)
  for (const sql of ['release a', 'release savepoint "A";']) assert.equal(step(sql), ['release', 'a'], sql)
  assert.equal(step('savepoint "a""b"'), ['savepoint', 'a"b'])
  for (const sql of ['rollback', 'select 1; rollback to a', '/* rollback to a */', "'rollback to'", 'savepoint', '']) {
    assert.equal(step(sql), [], sql)
  }
})

test('a savepoint whose name is in quotes is another one in PostgreSQL where it has other letters', () => {
  const name = (sql: string, dialect?: SqlDialect) => savepointStep(sql, dialect)?.name
  for (const sql of ['savepoint "A"', 'rollback to "A"', 'release "A"']) {
    assert.is(name(sql, 'postgresql'), 'A', sql)
    assert.is(name(sql, 'sqlite'), 'a', sql)
    assert.is(name(sql), 'a', sql)
  }
  assert.is(name('savepoint A', 'postgresql'), 'a')
})

test.run()
