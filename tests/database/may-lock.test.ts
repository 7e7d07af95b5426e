import * as assert from 'uvu/assert'
import { hasLockingClause, mayCall } from '../../source/database/may-lock.ts'
import { suite } from '../support/suite.ts'

const LOCKING = [
  'select * from note for update',
  'select * from note FOR\n/* no key */ no key -- update\nupdate of note nowait',
  'select * from note for share skip locked',
  'select * from (select * from note for key share) as a',
]
const CALLING = [
  'select pg_advisory_xact_lock(1)',
  'select "lock"(1)',
  'select f /* now */ (1)',
  'select app.format(1)',
  'select "app" . lower(a)',
]
const HARMLESS = [
  'select 1',
  'select count(*) from note where id in (1, 2) and (a or b)',
  `select 'for update', "for update", 1 /* for update */ -- f(1)`,
  `select e'\\'f(1) for share', $a$ f(1) for update $a$`,
  'select `for update`.`f(` from `for update`',
  'select substring(a for key), for_update from note',
  "select 'a' ('b')",
  'select pg_catalog.lower(a) from app.note where (b)',
]

const test = suite('what may lock')

test('a locking clause locks rows', () => {
  for (const sql of LOCKING) {
    assert.ok(hasLockingClause(sql), sql)
    assert.not(mayCall(sql), sql)
  }
})

test('a call of a function that is not known may lock or write, but locks no rows', () => {
  for (const sql of CALLING) {
    assert.not(hasLockingClause(sql), sql)
    assert.ok(mayCall(sql), sql)
  }
})

test('what is quoted or a comment locks and calls nothing', () => {
  for (const sql of HARMLESS) {
    assert.not(hasLockingClause(sql), sql)
    assert.not(mayCall(sql), sql)
  }
})

test.run()
