/** What a unit of work leaves on its connection, which the next one gets: nothing. */
import { defineEntity, p, raw } from '@mikro-orm/core'
import { CompiledQuery, type DatabaseConnection } from 'kysely'
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { Author, ENTITIES } from '../support/entities.ts'
import { ormsIdle } from '../support/leaks.ts'
import { newDatabase, openOrm, poolOf, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  target: string
  wire: Wire
  orm: TestOrm
  look: SecondLook
}
type Options = Omit<EngineOptions, 'orm'>
type Context = { dbSession: any; txn: any; tm: any }

const Leak = defineEntity({
  name: 'Leak',
  view: true,
  expression: 'select leak_setting() as name',
  properties: { name: p.string().primary() },
})

const STATE = `select current_user::text as role, session_user::text as login, nullif(current_setting('app.tenant', true), '') as tenant,
  current_setting('search_path') as path, current_setting('timezone') as zone, current_setting('statement_timeout') as timeout,
  array(select name from pg_prepared_statements where from_sql)::text as prepared,
  array(select name from pg_cursors where is_holdable)::text as cursors,
  array(select pg_listening_channels())::text as channels,
  (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
  (select count(*)::int from pg_class where relpersistence = 't') as temporary`

const FUNCTIONS = `
  create function leak_setting() returns text language sql as $$ select set_config('app.tenant', 'A', false) $$;
  create function leak_path() returns text language sql as $$ select set_config('search_path', 'pg_catalog', false) $$;
  create function leak_lock() returns text language sql as $$ select pg_advisory_lock(42)::text $$;
  create function leak_more() returns text language plpgsql as $$ begin
    create temporary table kept (x int); listen news; execute 'prepare kept as select 1'; set timezone to 'Asia/Tokyo'; return 'all'; end $$;
  create procedure leak_role() language plpgsql as $$ begin set session role pg_monitor; end $$;
  create view leaky as select leak_setting() as name; create view leak as select * from leaky;
  create function leak_by_trigger() returns trigger language plpgsql as $$ begin perform leak_path(); return new; end $$;
  create table traced (id int); create trigger traced before insert on traced execute function leak_by_trigger()`

/** Each leaves something; those of the second list do it where no text shows. */
const SHOWN = [
  "select set_config('app.tenant', 'A', false)",
  'set search_path to pg_catalog',
  'set role pg_monitor',
  'set session authorization pg_monitor',
  "set time zone 'Asia/Tokyo'",
  'set statement_timeout to 9000',
  'select pg_advisory_lock(42)',
  'select pg_try_advisory_lock_shared(42) from "author" right join (values (1)) as one on true',
  'listen news',
  'prepare kept as select 1',
  'declare kept cursor with hold for select 1',
  'create temporary table kept (x int)',
  'select 1 as x into temp kept',
  "select 1; set app.tenant = 'A'",
]
const HIDDEN = [
  'select leak_setting()',
  'select leak_path()',
  'select leak_lock()',
  'select leak_more()',
  'select * from leaky',
  'select * from (values (1)) as one, leaky',
  'call leak_role()',
  'insert into traced values (1)',
  "do $$ begin perform set_config('app.tenant', 'A', false); end $$",
  'with leaking as (select leak_lock()) select * from leaking',
]

/** How a unit of work, or what is no unit, sends `sql` and ends. */
const ENDINGS: Record<string, (world: World, sql: string) => Promise<unknown>> = {
  'a commit': (world, sql) => run(world, { initialState: 'changed' }, ({ dbSession }) => dbSession.role.execute(sql)),
  'a rollback of what nobody declared': (world, sql) =>
    run(world, { rawWrites: 'error' }, ({ dbSession }) => dbSession.role.execute(sql)),
  'an abort': (world, sql) =>
    rejection(
      run(world, { initialState: 'changed' }, async ({ dbSession }) => {
        await dbSession.role.execute(sql)
        throw new Error('the work fails')
      }),
    ),
  'an abort after a failed statement': (world, sql) =>
    run(world, { rawWrites: 'error' }, async ({ dbSession, txn }) => {
      await dbSession.role.execute(sql)
      await rejection(dbSession.role.execute('select 1 / 0'))
      await txn.abort()
    }),
  'a commit of the program': (world, sql) =>
    run(world, {}, async ({ dbSession, txn }) => {
      dbSession.role.create(Author, { name: 'stored' })
      await dbSession.role.execute(sql)
      await txn.commit()
    }),
  'a commit that goes along with the last statement': (world, sql) =>
    run(world, { pipelineCommit: true }, async ({ dbSession }) => {
      await dbSession.role.execute(sql)
      dbSession.role.create(Author, { name: 'stored' })
    }),
  'plain commits, where transactions are disabled': (world, sql) =>
    run(world, { initialState: 'changed' }, ({ dbSession }) => dbSession.role.execute(sql), {
      disableTransaction: true,
    }),
  'an autonomous commit': (world, sql) =>
    run(world, { commit: 'autonomous', initialState: 'changed' }, ({ dbSession }) => dbSession.role.execute(sql)),
  'a statement in autocommit': (world, sql) =>
    run(world, { commit: 'autocommit' }, ({ dbSession }) => dbSession.role.execute(sql)),
  'a transaction of an autocommit role': (world, sql) =>
    run(world, { commit: 'autocommit' }, ({ dbSession }) => dbSession.role.transactional((em: any) => em.execute(sql))),
  "Kysely's own, in a role that is not scoped": (world, sql) =>
    run(world, { scoped: false, initialState: 'changed' }, ({ dbSession }) =>
      dbSession.role.getKysely().executeQuery(CompiledQuery.raw(sql)),
    ),
  'em.commit() of a session outside of units': async (world, sql) => {
    const em: any = registryOf(world, { initialState: 'changed' }).session('role')
    await em.execute(sql)
    await em.commit()
    await em.close()
  },
  'a nested transaction': (world, sql) =>
    run(world, { initialState: 'changed' }, ({ dbSession }) =>
      dbSession.role.transactional((em: any) => em.execute(sql)),
    ),
}

function registryOf({ orm }: World, options: Options, more: object = {}): EngineRegistry<any> {
  return new EngineRegistry<any>({ role: { orm, ...options } }, more)
}

async function run(
  world: World,
  options: Options,
  work: (context: Context) => unknown,
  more?: object,
): Promise<unknown> {
  return await registryOf(world, options, more).run((context: any) => work(context))
}

/** What the next one finds on the only connection of the pool, and the number of its server process. */
async function found({ orm }: World): Promise<{ state: object; pid: number }> {
  const client = await (await poolOf(orm)).connect()
  const { rows } = await client.query(STATE)
  const { rows: pids } = await client.query('select pg_backend_pid() as pid')
  client.release()
  return { state: rows[0], pid: pids[0].pid }
}

function asGuest(target: string): string {
  const url = new URL(target)
  url.username = 'guest_of_test'
  url.password = 'guest'
  return url.href
}

const test = suite<World>('a connection that is given back')

test.before(async (world) => {
  world.target = await newDatabase('postgresql')
  world.look = await secondLook(world.target)
  await (await openOrm(world.target)).close()
  // MikroORM's schema generator would drop them.
  await world.look.rows(FUNCTIONS)
  world.wire = await openWire(world.target)
  const config = { entities: [...ENTITIES, Leak] }
  world.orm = await openOrm(world.target, { poolMax: 1, via: world.wire.url, config, hasSchema: true })
})
test.after.each(async ({ orm, look }) => {
  await ormsIdle(orm)
  await look.rows('truncate author, traced cascade')
})
test.after(async ({ orm, look, wire }) => {
  await orm.close()
  await look.close()
  await wire.close()
})

for (const [ending, send] of Object.entries(ENDINGS)) {
  test(`is as it was before ${ending}`, async (world) => {
    const before = await found(world)
    const left: unknown[] = []
    for (const sql of [...SHOWN, ...HIDDEN]) {
      await send(world, sql).catch(() => undefined)
      const after = await found(world)
      if (JSON.stringify(after) !== JSON.stringify(before)) left.push([sql, JSON.stringify(after)])
    }
    assert.equal(left, [])
  })
}

test('is as it was after a stream', async (world) => {
  const before = await found(world)
  for (const options of [{}, { readOnly: true }, { readOnly: 'snapshot' }] as const) {
    await run(world, options, async ({ dbSession }) => {
      const rows = dbSession.role.getKysely().selectFrom('leaky').selectAll().stream(1)
      for await (const _ of rows) break
    })
    assert.equal(await found(world), before)
  }
})

for (const options of [{ readOnly: true }, { readOnly: 'snapshot' }] as const) {
  test(`is as it was after what a role sent with readOnly: ${JSON.stringify(options.readOnly)} read`, async (world) => {
    const before = await found(world)
    for (const sql of [...SHOWN, ...HIDDEN]) {
      await run(world, options, ({ dbSession }) => dbSession.role.execute(sql)).catch(() => undefined)
      assert.equal(await found(world), before, sql)
    }
  })
}

test('a role that only reads refuses what outlives its statement', async (world) => {
  for (const sql of SHOWN) {
    const error: any = await rejection(run(world, { readOnly: true }, ({ dbSession }) => dbSession.role.execute(sql)))
    assert.is(error.code, 'SQLASSIST_READ_ONLY_SESSION', sql)
  }
})

test('is as it was after an entity of a view, and after a fragment of SQL in a statement of MikroORM', async (world) => {
  const before = await found(world)
  const works: ((em: any) => unknown)[] = [
    (em) => em.find(Leak, {}),
    (em) => em.insert(Author, { name: raw('leak_lock()') }),
    (em) => em.createQueryBuilder(Author).select(raw('leak_setting()')).execute(),
    (em) => em.getKysely().selectFrom('leaky').selectAll().execute(),
  ]
  for (const work of works) {
    await run(world, { initialState: 'changed' }, ({ dbSession }) => work(dbSession.role))
    assert.equal(await found(world), before)
  }
})

for (const [ending, send] of Object.entries(ENDINGS)) {
  if (ending.includes('autocommit')) continue
  test(`holds no lock any more when ${ending} is answered`, async (world) => {
    for (const sql of ['select leak_lock()', 'select pg_advisory_lock(42)']) {
      await send(world, sql)
      assert.is(await world.look.value(`select count(*) from pg_locks where locktype = 'advisory'`), 0)
    }
  })
}

test('is cleaned in the round trip that ends the transaction', async (world) => {
  const execute = ({ dbSession }: Context): unknown => dbSession.role.execute('select leak_lock()')
  const fail = async (context: Context): Promise<void> => {
    await execute(context)
    await rejection(context.dbSession.role.execute('select 1 / 0'))
    await context.txn.abort()
  }
  const ends: [Options, (context: Context) => unknown, RegExp][] = [
    [{ initialState: 'changed' }, execute, /^commit;.*reset all/],
    [{}, execute, /pg_advisory_unlock_all.*rollback$/],
    [{}, fail, /^rollback;.*pg_advisory_unlock_all/],
  ]
  for (const [options, work, end] of ends) {
    world.wire.reset()
    await run(world, options, work)
    await ormsIdle(world.orm)
    assert.match(world.wire.messages().at(-1)!.text, end)
  }
})

test('is cleaned in autocommit while nobody waits for that, unless the statement takes a lock', async (world) => {
  const cleaning = world.wire.hold(/reset all/, 'request')
  const send = (sql: string): unknown =>
    run(world, { commit: 'autocommit' }, ({ dbSession }) => dbSession.role.execute(sql))
  await send('select leak_setting()')
  await cleaning.reached
  cleaning.release()
  await send('select pg_advisory_lock(42)')
  assert.is(await world.look.value(`select count(*) from pg_locks where locktype = 'advisory'`), 0)
})

test('is committed where only the cleaning behind COMMIT fails, and then closed', async (world) => {
  const { orm, look } = world
  const { pid } = await found(world)
  await look.rows('revoke execute on function pg_advisory_unlock_all() from public')
  await look.rows(
    `create role guest_of_test login password 'guest'; grant all on schema public to guest_of_test; grant all on all tables in schema public to guest_of_test`,
  )
  const guest = await openOrm(asGuest(world.target), { poolMax: 1, hasSchema: true })
  const own = { ...world, orm: guest }
  const before = await found(own)
  await run(own, {}, async ({ dbSession }) => {
    dbSession.role.create(Author, { id: 1, name: 'stored' })
    await dbSession.role.execute('select leak_setting()')
  })
  assert.is(await look.value('select count(*) from author'), 1)
  assert.is.not((await found(own)).pid, before.pid)
  await guest.close()
  assert.is((await found({ ...world, orm })).pid, pid)
})

test('is in no transaction that a statement in autocommit began', async (world) => {
  const before = await found(world)
  await run(world, { commit: 'autocommit' }, ({ dbSession }) => dbSession.role.execute('begin'))
  await run(world, { commit: 'autocommit' }, ({ dbSession }) => dbSession.role.insert(Author, { name: 'stored' }))
  assert.is(await world.look.value('select count(*) from author'), 1)
  assert.equal(await found(world), before)
})

test('is cleaned of nothing after statements that leave nothing', async (world) => {
  const { wire } = world
  wire.reset()
  const works: ((em: any) => unknown)[] = [
    (em) => em.find(Author, { name: 'a(b)' }),
    (em) => em.execute('select count(*), max(a.name), now() from author a, author b where a.id in (1, 2)'),
    (em) => em.execute('insert into author (name) values (lower(?)) returning id', ['set role x']),
    (em) => em.execute("set local app.tenant = 'A'"),
    (em) => em.execute(`with known as (select * from "author") select extract(year from now()) from known`),
    (em) => em.insert(Author, { name: "f('x')" }),
  ]
  for (const work of works) await run(world, { initialState: 'changed' }, ({ dbSession }) => work(dbSession.role))
  await ormsIdle(world.orm)
  assert.equal(
    wire.sql().filter((sql) => /reset|pg_advisory/.test(sql)),
    [],
  )
})

test("keeps what pg has prepared, and what the application's hooks set on a new connection", async (world) => {
  const set = `select set_config('app.kept', 'by a hook', false)`
  const orm = await openOrm(world.target, {
    poolMax: 1,
    hasSchema: true,
    config: {
      onCreateConnection: async (connection: DatabaseConnection) =>
        void (await connection.executeQuery(CompiledQuery.raw(set))),
    },
  })
  const own = { ...world, orm }
  const pool = await poolOf(orm)
  const named = { name: 'one', text: `select current_setting('app.kept', true) as kept` }
  await run(own, {}, ({ dbSession }) => dbSession.role.execute('select 1'))
  const seen = [(await pool.query(named)).rows[0]]
  const commits = [{ initialState: 'changed' }, { commit: 'autocommit' }] as const
  for (const options of commits) {
    await run(own, options, ({ dbSession }) => dbSession.role.execute('set statement_timeout to 9000'))
    seen.push((await pool.query(named)).rows[0])
  }
  assert.equal(
    seen.map(({ kept }) => kept),
    ['by a hook', 'by a hook', 'by a hook'],
  )
  await orm.close()
})

test('is closed where it cannot be cleaned, and where only new ones are set up', async (world) => {
  const orm = await openOrm(world.target, { poolMax: 1, hasSchema: true })
  const own = { ...world, orm }
  const { pid } = await found(own)
  const pool = await poolOf(orm)
  pool.on('connect', (client) => void client.query(`set app.tenant = 'of the pool'`))
  await run(own, { initialState: 'changed' }, ({ dbSession }) => dbSession.role.execute('select leak_setting()'))
  const after: any = await found(own)
  assert.is.not(after.pid, pid)
  assert.is(after.state.tenant, 'of the pool')
  await orm.close()
})

test.run()
