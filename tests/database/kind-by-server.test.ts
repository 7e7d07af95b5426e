/** The kind of a statement by its text, against what the databases do with it. */
import process from 'node:process'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import pg from 'pg'
import * as assert from 'uvu/assert'
import { statementKind, type StatementKind } from '../../source/database/statement-kind.ts'
import { createDatabase } from '../support/postgres.ts'
import { suite } from '../support/suite.ts'

interface World {
  client: pg.Client
  sqlite: Database.Database
}

/** What a text did in a transaction; undefined where the database refused it. */
type Fate = StatementKind | undefined

const WRITE = 'insert into note default values'
/** Each in a transaction, in which there is a savepoint `a`. */
const ON_POSTGRES: readonly (readonly [kind: StatementKind, sql: string])[] = [
  ['read', `select e'\\\\'; -- '; commit`],
  ['read', `select e'\\''; -- '; commit`],
  ['read', `select e'\\'; commit; --'`],
  ['control', `select e'\\\\'; commit; --'`],
  ['control', `select e'\\''; commit; --'`],
  ['control', `select '\\'; commit; --'`],
  ['read', `select '\\''; commit; --'`],
  ['control', `select e'a'\n'\\''; commit; --'`],
  ['control', `select e'a' -- it's\n\n '\\''; commit; --'`],
  ['read', `select e'a'\r'\\'; commit; --'`],
  ['control', `select 'a'\n'\\'; commit; --'`],
  ['control', `select u&'\\0041'; commit; --'`],
  ['control', `select u&'\\\\'; commit; --'`],
  ['read', `select n'; commit', b'01', x'1f'`],
  ['control', `/* a /* b */ c */ commit`],
  ['control', `/*/* a */ ' */ commit /* ' */`],
  ['read', `/* a /* b */; commit; */ select 1`],
  ['control', `-- a\rcommit`],
  ['control', `select 1 -- a\r; commit`],
  ['read', `-- a; commit`],
  ['control', `select $a1$ ' $a1$; commit; --'`],
  ['read', `select $a1$; commit; $a1$`],
  ['read', `select $a$; commit; $A$ $a$`],
  ['control', `select $é$ $ $é$; commit`],
  ['control', `select 1 as a$$; commit; select 2 as b$$`],
  ['read', `select $$; commit; $$`],
  ['read', `select $a$$$; commit; $$$a$`],
  ['control', `select 1 as "a'"; commit; --'`],
  ['read', `select 1 as u&"a;commit"""`],
  ['control', `((select 1)); commit`],
  ['control', `;; commit`],
  ['control', `create temporary table made (a int); commit`],
  ['write', `create rule twice as on update to note do also (${WRITE}; ${WRITE}); update note set text = 'c'`],
  [
    'control',
    `create function pg_temp.f() returns text begin atomic select case when true then 'a' end as end; ${WRITE} returning text; end; commit`,
  ],
  ['write', `create function pg_temp.g() returns text begin atomic select 'b'; select 'a'; end; ${WRITE}`],
  ['read', 'rollback to a'],
  ['read', 'rollback /* b */ work -- c\n to savepoint a; select 1'],
  ['control', 'rollback work'],
  ['control', 'select 1; rollback transaction'],
  ['control', 'abort'],
  ['control', 'end; begin'],
  ['write', `table note; ${WRITE}`],
  ['write', `select 1; ${WRITE}`],
  ['write', `explain analyze ${WRITE}`],
  ['write', `with b as (update only note as c set text = 'd' returning 1) select * from b`],
  ['write', `select e'\\''; ${WRITE} --'`],
  ['read', `select e'\\'; ${WRITE} --'`],
]
const ON_SQLITE: readonly (readonly [kind: StatementKind, sql: string])[] = [
  ['control', `select '\\'; commit; --'`],
  ['control', `/* a /* b */ commit`],
  ['read', `-- a\rcommit`],
  ['control', '-- a\ncommit'],
  ['control', 'select 1 as [\'"]; commit; --\'"'],
  ['control', 'select 1 as `\'"`; commit; --\'"'],
  ['read', 'select 1 as `a``; commit; --`'],
  ['control', '\ufeffcommit'],
  [
    'control',
    `create trigger twice after insert on note begin select case when 1 then 2 end; delete from note; end; commit`,
  ],
  ['write', `create trigger twice after delete on note begin select 1; end; ${WRITE}`],
  ['read', 'rollback transaction to a'],
  ['control', 'rollback'],
  ['write', `/* /* */ ${WRITE}`],
]

/** Begin what a text may hide something in. */
const OPENERS = `' e' E' u&' x' n' " u&" $$ $a$ $a1$ $1 /* -- \\ [ \``.split(' ')
const PIECES = [...OPENERS, ...`'' "" \\\\ \\' */ /*/ ] a$$ \n \r , ( ) 1 a ;`.split(/ /), ' ', ' as ']
const PARTS = ['; commit', '; select 1', `; ${WRITE}`, ';', ', 1', ' as b', '\n', '\r', ' ']

const noise = fc.array(fc.constantFrom(...PIECES), { maxLength: 3 }).map((pieces) => pieces.join(''))
const literal = fc
  .tuple(fc.constantFrom(...OPENERS), noise, fc.constantFrom(...PARTS), noise)
  .map(([opener, ahead, part, behind]) => opener + ahead + part + behind + closing(opener))
const texts = fc
  .tuple(
    fc.constantFrom('select 1', 'select', 'select ', ''),
    fc.array(fc.oneof(literal, fc.constantFrom(...PARTS)), { maxLength: 3 }),
    fc.constantFrom('', ' --', " --'", ' -- $a$ */', '; commit', `;${WRITE} --'`),
  )
  .map(([start, parts, end]) => start + parts.join('') + end)

const seed = Number(process.env['FAST_CHECK_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const numRuns = Number(process.env['RUNS'] ?? 500)
process.stdout.write(`fast-check seed ${seed}\n`)

const test = suite<World>('what a statement does, by its text and by its database')

test.before(async (world) => {
  world.client = new pg.Client({ connectionString: await createDatabase('kind') })
  await world.client.connect()
  await world.client.query(`create table note (text text); insert into note values ('a')`)
  world.sqlite = new Database(':memory:')
  world.sqlite.exec(`create table note (text text); insert into note values ('a')`)
})
test.after(async ({ client, sqlite }) => {
  await client.end()
  sqlite.close()
})

for (const [kind, sql] of ON_POSTGRES) {
  test(`PostgreSQL, ${kind}: ${JSON.stringify(sql)}`, async ({ client }) => {
    assert.is(await fateOnPostgres(client, sql), kind)
    assert.is(statementKind(sql, 'postgresql'), kind)
  })
}
for (const [kind, sql] of ON_SQLITE) {
  test(`SQLite, ${kind}: ${JSON.stringify(sql)}`, ({ sqlite }) => {
    assert.is(fateOnSqlite(sqlite, sql), kind)
    assert.is(statementKind(sql, 'sqlite'), kind)
  })
}

test('any text that PostgreSQL takes does what its kind says', async ({ client }) => {
  const seen = new Map<Fate, number>()
  await fc.assert(
    fc.asyncProperty(texts, async (sql) => {
      const fate = await fateOnPostgres(client, sql)
      seen.set(fate, (seen.get(fate) ?? 0) + 1)
      if (fate !== undefined) assert.is(statementKind(sql, 'postgresql'), fate)
    }),
    { seed, numRuns },
  )
  for (const fate of ['read', 'write', 'control'] as const) assert.ok(seen.has(fate), fate)
})

test('any text that SQLite takes does what its kind says', async ({ sqlite }) => {
  const seen = new Map<Fate, number>()
  fc.assert(
    fc.property(texts, (sql) => {
      const fate = fateOnSqlite(sqlite, sql)
      seen.set(fate, (seen.get(fate) ?? 0) + 1)
      if (fate !== undefined) assert.is(statementKind(sql, 'sqlite'), fate)
    }),
    { seed, numRuns },
  )
  for (const fate of ['read', 'write', 'control'] as const) assert.ok(seen.has(fate), fate)
})

async function fateOnPostgres(client: pg.Client, sql: string): Promise<Fate> {
  const here = async () => (await client.query(`select now()::text, pg_current_xact_id_if_assigned() as id`)).rows[0]
  await client.query('begin')
  try {
    const before = await here()
    await client.query('savepoint a')
    await client.query(sql)
    const after = await here()
    if (after.now !== before.now) return 'control'
    return after.id === null ? 'read' : 'write'
  } catch {
    return undefined
  } finally {
    await client.query('rollback')
    await client.query(`delete from note; insert into note values ('a')`)
  }
}

function fateOnSqlite(sqlite: Database.Database, sql: string): Fate {
  sqlite.exec('begin; savepoint a')
  try {
    const count = sqlite.prepare('select total_changes()').pluck()
    const version = sqlite.prepare('pragma schema_version').pluck()
    const before = [count.get(), version.get()]
    sqlite.exec(sql)
    if (!sqlite.inTransaction) return 'control'
    return String([count.get(), version.get()]) === String(before) ? 'read' : 'write'
  } catch {
    return undefined
  } finally {
    if (sqlite.inTransaction) sqlite.exec('rollback')
    sqlite.exec(`drop trigger if exists twice; delete from note; insert into note values ('a')`)
  }
}

function closing(opener: string): string {
  if (opener === '/*') return '*/'
  if (opener === '[') return ']'
  if (opener === '--') return '\n'
  if (opener === '\\' || opener === '$1') return ''
  return opener.startsWith('$') ? opener : opener.slice(-1)
}

test.run()
