import * as assert from 'uvu/assert'
import {
  EngineRegistry,
  markChanged,
  NotASessionError,
  ReadOnlySessionError,
  UnmarkedWriteError,
  type EngineOptions,
} from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  orm: TestOrm
  look: SecondLook
  close(): Promise<void>
}

/** Raw SQL that writes, in forms that differ in what gives them away. */
const WRITES: readonly { name: string; sql: string; on?: 'postgresql' | 'sqlite' }[] = [
  { name: 'plain', sql: `insert into author (name) values ('raw')` },
  { name: 'behind a comment', sql: `/* why not */ -- really\n insert into author (name) values ('raw')` },
  { name: 'with returning', sql: `insert into author (name) values ('raw') returning id` },
  {
    name: 'a common table expression',
    sql: `with n as (insert into author (name) values ('raw') returning id) select * from n`,
    on: 'postgresql',
  },
  {
    name: 'below a common table expression',
    sql: `with n as (select 'raw' as name) insert into author (name) select name from n`,
  },
  { name: 'data definition', sql: `create table author_2 as select 1 as id` },
  { name: 'select into', sql: `select 1 as id into author_2`, on: 'postgresql' },
  { name: 'a function', sql: `select add_author('raw')`, on: 'postgresql' },
  { name: 'a block', sql: `do $$ begin insert into author (name) values ('raw'); end $$`, on: 'postgresql' },
]

const READS: readonly { name: string; sql: string; on?: 'postgresql' | 'sqlite' }[] = [
  { name: 'plain', sql: 'select * from author' },
  { name: 'a common table expression', sql: `with n as (select 'insert into author' as x) select * from n` },
  { name: 'words of a write in a literal', sql: `select 'insert into author', 'delete from author' as "update x set"` },
  { name: 'locking rows', sql: 'select * from author for update', on: 'postgresql' },
  { name: 'a setting', sql: `set local work_mem = '1MB'`, on: 'postgresql' },
  { name: 'a function that reads', sql: `select upper('insert')` },
]

for (const dialect of DIALECTS) {
  const test = suite<World>(`mark_changed on ${dialect}`)

  test.before(async (world) => {
    Object.assign(world, await openDatabase(dialect))
    if (dialect === 'postgresql') {
      await world.look.rows(
        `create function add_author(text) returns int language sql as 'insert into author (name) values ($1) returning id'`,
      )
    }
  })
  test.before.each(async ({ look }) => {
    await look.rows('delete from author')
    await look.rows(`insert into author (name) values ('first')`)
    await look.rows('drop table if exists author_2')
  })
  test.after((world) => world.close())

  async function run(world: World, options: Partial<EngineOptions>, work: (em: any, dbSession: any) => unknown) {
    const registry = new EngineRegistry({ writer: { ...options, orm: world.orm } })
    await registry.run(async ({ dbSession }) => {
      await work(dbSession.writer, dbSession)
    })
    await ormsIdle(world.orm)
  }

  async function state(look: SecondLook): Promise<string> {
    const table =
      dialect === 'sqlite'
        ? `select count(*) from sqlite_master where name = 'author_2'`
        : `select count(*) from pg_class where relname = 'author_2'`
    return `${String(await look.value('select count(*) from author'))} authors, ${String(await look.value(table))} tables`
  }

  for (const { name, sql, on } of WRITES) {
    if (on !== undefined && on !== dialect) continue
    test(`raw SQL that writes (${name}): rolled back with a warning, unless marked, or rawWrites says otherwise`, async (world) => {
      const { look } = world
      const before = await state(look)
      const seen = await warnings('SQLASSIST_UNMARKED_WRITE', () => run(world, {}, (em) => em.execute(sql)))
      assert.is(await state(look), before)
      assert.is(seen.length, 1)
      assert.ok(seen[0]!.message.includes(sql), seen[0]!.message)
      assert.match(seen[0]!.message, /"writer".*markChanged\('writer'\)/s)

      const error = await rejection(run(world, { rawWrites: 'error' }, (em) => em.execute(sql)))
      assert.instance(error, UnmarkedWriteError)
      assert.ok(error.message.includes(sql))
      assert.is(await state(look), before)

      const quiet = await warnings('SQLASSIST_UNMARKED_WRITE', () =>
        run(world, { rawWrites: 'commit' }, (em) => em.execute(sql)),
      )
      assert.is.not(await state(look), before)
      assert.is(quiet.length, 0)
    })

    test(`raw SQL that writes (${name}) is kept by markChanged, and with initialState 'changed'`, async (world) => {
      for (const [options, mark] of [
        [{}, (em: any) => markChanged(em)],
        [{}, (_: any, dbSession: any) => dbSession.markChanged('writer')],
        [{ initialState: 'changed' }, () => undefined],
      ] as const) {
        await world.look.rows('drop table if exists author_2')
        const before = await state(world.look)
        const seen = await warnings('SQLASSIST_UNMARKED_WRITE', () =>
          run(world, options, async (em, dbSession) => {
            await em.execute(sql)
            mark(em, dbSession)
          }),
        )
        assert.is.not(await state(world.look), before)
        assert.is(seen.length, 0)
      }
    })
  }

  for (const { name, sql, on } of READS) {
    if (on !== undefined && on !== dialect) continue
    test(`raw SQL that reads (${name}) neither changes a session nor warns`, async (world) => {
      const seen = await warnings('SQLASSIST_UNMARKED_WRITE', async () => {
        await run(world, { rawWrites: 'error' }, (em) => em.execute(sql))
        await run(world, {}, (em) => em.execute(sql))
      })
      assert.is(seen.length, 0)
    })
  }

  test('raw SQL beside a write of MikroORM is committed with it, without a warning', async (world) => {
    const seen = await warnings('SQLASSIST_UNMARKED_WRITE', () =>
      run(world, {}, async (em) => {
        em.persist(em.create(Author, { name: 'by MikroORM' }))
        await em.execute(`insert into author (name) values ('raw')`)
      }),
    )
    assert.is(await world.look.value('select count(*) from author'), 3)
    assert.is(seen.length, 0)
  })

  test('raw SQL of Kysely counts as raw, in a nested transaction as well', async (world) => {
    const { sql } = await import('kysely')
    const seen = await warnings('SQLASSIST_UNMARKED_WRITE', () =>
      run(world, {}, async (em) => {
        await sql`insert into author (name) values ('raw')`.execute(em.getKysely())
        await em.transactional((nested: any) => nested.execute(`insert into author (name) values ('nested')`))
      }),
    )
    assert.is(await world.look.value('select count(*) from author'), 1)
    assert.is(seen.length, 2)
  })

  test('markChanged refuses a read-only session and what is no session', async ({ orm }) => {
    const registry = new EngineRegistry({ reader: { orm, readOnly: true } })
    await registry.run(({ dbSession }) => {
      assert.throws(
        () => markChanged(dbSession.reader),
        (error: unknown) => error instanceof ReadOnlySessionError,
      )
      assert.throws(() => dbSession.markChanged('reader'), /"reader" is read only/)
    })
    assert.throws(
      () => markChanged(orm.em.fork()),
      (error: unknown) => error instanceof NotASessionError,
    )
  })

  test.run()
}
