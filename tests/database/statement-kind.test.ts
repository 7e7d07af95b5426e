import * as assert from 'uvu/assert'
import { goesBackToSavepoint, statementKind, type StatementKind } from '../../source/database/statement-kind.ts'
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

test('a rollback to a savepoint is known behind comments and empty statements', () => {
  for (const sql of [
    'rollback to a',
    '; /* a */ ROLLBACK -- b\nWORK to savepoint a; select 1',
    '/* a */rollback to a',
  ]) {
    assert.ok(goesBackToSavepoint(sql), sql)
  }
  for (const sql of ['rollback', 'select 1; rollback to a', '/* rollback to a */', "'rollback to'", 'release a', '']) {
    assert.not(goesBackToSavepoint(sql), sql)
  }
})

test.run()
