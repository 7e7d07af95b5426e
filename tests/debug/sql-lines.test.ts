import * as assert from 'uvu/assert'
import { sqlLines } from '../../source/debug/pages/sql-lines.ts'
import { suite } from '../support/suite.ts'

const test = suite('the lines of a statement')

const COLUMNS = '"a0"."id", "a0"."name", "a0"."street", "a0"."city", "a0"."country_code", "a0"."born_at"'

const CASES: Readonly<Record<string, readonly [sql: string, lines: readonly string[]]>> = {
  'each part of a select has a line': [
    `select ${COLUMNS} from "author" as "a0" left join "book" as "b1" on "a0"."id" = "b1"."author_id" where "a0"."id" in (1, 2) group by "a0"."id" order by "a0"."id" asc limit 2 for update`,
    [
      `select ${COLUMNS}`,
      'from "author" as "a0"',
      'left join "book" as "b1" on "a0"."id" = "b1"."author_id"',
      'where "a0"."id" in (1, 2)',
      'group by "a0"."id"',
      'order by "a0"."id" asc',
      'limit 2',
      'for update',
    ],
  ],
  'and of an insert': [
    `insert into "author" (${COLUMNS}) values ('Ada', 'from where', default) on conflict ("id") do update set "name" = 'x' returning "id"`,
    [
      `insert into "author" (${COLUMNS})`,
      `values ('Ada', 'from where', default)`,
      'on conflict ("id") do update',
      `set "name" = 'x'`,
      'returning "id"',
    ],
  ],
  'a query in brackets is indented, an expression is not broken': [
    `select extract(year from "born_at"), count(*) over (order by "id") from "author" where "id" in (select "author_id" from "book" where "title" is distinct from 'x')`,
    [
      'select extract(year from "born_at"), count(*) over (order by "id")',
      'from "author"',
      'where "id" in (select "author_id"',
      '  from "book"',
      `  where "title" is distinct from 'x')`,
    ],
  ],
  'a delete keeps its from': [
    `delete from "author" where "name" = 'a name that is long enough for two lines of a statement'`,
    ['delete from "author"', `where "name" = 'a name that is long enough for two lines of a statement'`],
  ],
  'a short statement is one line': [
    'select "id" from "author" where "id" = 1',
    ['select "id" from "author" where "id" = 1'],
  ],
  'what is written in lines stays as it is': [
    `select ${COLUMNS}\n  from "author" where "id" = 1`,
    [`select ${COLUMNS}`, '  from "author" where "id" = 1'],
  ],
}

for (const [title, [sql, lines]] of Object.entries(CASES)) {
  test(title, () => assert.equal(sqlLines(sql).split('\n'), lines))
}

test('a statement that was cut off, in a string or in brackets, is shown as far as it goes', () => {
  const whole = CASES['a query in brackets is indented, an expression is not broken']![0]
  for (let length = 0; length <= whole.length; length++) {
    const cut = whole.slice(0, length)
    assert.is(sqlLines(cut).replaceAll(/\s+/g, ' '), cut)
  }
})

test.run()
