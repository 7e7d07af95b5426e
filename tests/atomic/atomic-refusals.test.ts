/** What stands in the way of a commit over several databases, and what is said about it. */
import { once } from 'node:events'
import process from 'node:process'
import * as assert from 'uvu/assert'
import {
  CannotPrepareError,
  ConfigurationError,
  DECISION_TABLE_SQL,
  DecisionTableError,
  EngineRegistry,
  NotAtomicError,
  type EngineOptions,
} from '../../source/index.ts'
import { createSandbox } from '../../source/testing/index.ts'
import { Author } from '../support/entities.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../support/embedded-postgres.ts'
import { ormsIdle } from '../support/leaks.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'
import { addIn, decisionsIn, has, preparedIn, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

type Registry = EngineRegistry<Record<string, EngineOptions>>

interface World {
  several: SeveralDatabases
  registry: Registry
}

const test = suite<World>('what stands in the way of a commit over several databases')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({ a: 'postgresql', writer: 'postgresql', file: 'sqlite', book: 'sqlite' })
  await warnings('SQLASSIST_NOT_ATOMIC', async () => {
    world.registry = await world.several.warmRegistry()
  })
})
test.before.each(async ({ several }) => await several.reset())
test.after(async ({ several, registry }) => {
  await registry.close()
  await several.close()
})

async function nothingAnywhere({ several }: World, name: string): Promise<void> {
  for (const place of several.places) {
    assert.is(await has(place, name), 0, place.role)
    assert.equal(await preparedIn(place), [])
    assert.equal((await decisionsIn(place)) ?? [], [])
    await ormsIdle(place.orm)
  }
}

/** The error of a run that adds an author to `a` and to `writer`, and does that as well. */
async function refused({ registry }: World, roles: string[], work: (em: any) => Promise<unknown>): Promise<Error> {
  return await rejection(
    registry.run(async ({ dbSession }: any) => {
      for (const role of roles) await dbSession.get(role).insert(Author, { name: 'refused' })
      await work(dbSession.get(roles[0]!))
    }),
  )
}

for (const [what, sql] of [
  ['a temporary table', 'create temp table scratch (i int)'],
  ['NOTIFY', `notify somebody, 'something'`],
  ['LISTEN', 'listen somebody'],
  ['a cursor WITH HOLD', 'declare held cursor with hold for select 1'],
  ['an exported snapshot', 'select pg_export_snapshot()'],
] as const) {
  test(`${what} cannot be prepared: the vote says so, and nothing is left anywhere`, async (world) => {
    const error = await refused(world, ['a', 'writer', 'file'], (em) => em.execute(sql))
    assert.instance(error, CannotPrepareError)
    const cause = error.cause as Error & { code?: string }
    assert.is(cause.code, '0A000')
    // In the language of the server.
    assert.ok(error.message.includes(`"a" cannot be prepared: ${cause.message}`), error.message)
    assert.match(error.message, /"a".*twoPhase: false/s)
    await nothingAnywhere(world, 'refused')
  })

  test(`${what} is no obstacle where that role alone changed, nor where it decides`, async (world) => {
    for (const roles of [['a'], ['writer', 'a']]) {
      await world.registry.run(async ({ dbSession }: any) => {
        for (const role of roles) await dbSession.get(role).insert(Author, { name: 'fine' })
        await dbSession.get(roles[0]!).execute(sql)
      })
      for (const role of roles) assert.ok(Number(await has(world.several.place(role), 'fine')) > 0)
    }
  })
}

test('a transaction that became another user by SET ROLE is prepared, decided and finished all the same', async (world) => {
  for (const role of ['a', 'writer']) {
    const { look } = world.several.place(role)
    await look.rows('drop role if exists tenant').catch(() => undefined)
    await look.rows(`do $$ begin create role tenant; exception when duplicate_object then null; end $$`)
    await look.rows('grant select, insert on author to tenant')
    await look.rows('grant usage on sequence author_id_seq to tenant')
  }
  await world.registry.run(async ({ dbSession }: any) => {
    for (const role of ['a', 'writer']) {
      const em: any = dbSession.get(role)
      await em.execute('set local role tenant')
      await em.insert(Author, { name: 'of a tenant' })
    }
  })
  for (const role of ['a', 'writer']) {
    assert.is(await has(world.several.place(role), 'of a tenant'), 1)
    await world.several.place(role).look.rows('drop owned by tenant')
  }
})

test('the decision is durable whatever synchronous_commit says', async (world) => {
  const { wire, look } = world.several.place('writer')
  for (const [setting, found] of [
    ['off', 'on'],
    ['local', 'on'],
    ['remote_apply', 'remote_apply'],
  ] as const) {
    await look.rows('create table if not exists heard (setting text)')
    await look.rows(`create or replace function hear() returns trigger language plpgsql as
      $$ begin insert into heard values (current_setting('synchronous_commit')); return new; end $$`)
    await look.rows(
      `create or replace trigger hearing before insert on sqlassist_decision for each row execute function hear()`,
    )
    await world.registry.run(async ({ dbSession }: any) => {
      await dbSession.get('a').insert(Author, { name: 'durable' })
      await dbSession.get('writer').execute(`set local synchronous_commit = ${setting}`)
      await dbSession.get('writer').insert(Author, { name: 'durable' })
    })
    await look.rows('drop trigger hearing on sqlassist_decision')
    assert.equal(await look.rows('select setting from heard'), [{ setting: found }])
    await look.rows('drop table heard')
  }
  assert.ok(wire)
  const handle: any = await world.several.place('file').orm.em.getConnection().getNativeClient()
  assert.is(handle.pragma('synchronous', { simple: true }), 2)
})

test('a role with one connection creates the decision table without waiting for itself', async () => {
  const [target, other] = [await newDatabase('postgresql'), await newDatabase('postgresql')]
  const writer = await openOrm(target, { poolMax: 1 })
  const a = await openOrm(other, { poolMax: 1 })
  const registry = new EngineRegistry({ writer, a }, { recover: false }) as unknown as Registry
  await addIn(registry, ['writer', 'a'], 'first')
  const look = await secondLook(target)
  assert.is(await look.value(`select count(*) from sqlassist_decision where decision = 'commit'`), 1)
  await look.close()
  await registry.close()
})

test('many processes may need the table for the first time at once', async () => {
  const [target, other] = [await newDatabase('postgresql'), await newDatabase('postgresql')]
  const registries: Registry[] = []
  for (let index = 0; index < 4; index++) {
    const orms = { writer: await openOrm(target), a: await openOrm(other) }
    registries.push(new EngineRegistry<any>(orms, { recover: false }))
  }
  await Promise.all(registries.map((registry) => addIn(registry, ['writer', 'a'], 'at once')))
  const look = await secondLook(target)
  assert.is(await look.value('select count(*) from author'), 4)
  assert.is(await look.value(`select count(*) from sqlassist_decision where id = 'database'`), 1)
  await look.close()
  for (const registry of registries) await registry.close()
})

test('where the table cannot be created the error has the SQL; once it was run, all is well', async (world) => {
  const target = await newDatabase('postgresql')
  const admin = await secondLook(target)
  const schema = await openOrm(target)
  await schema.close()
  await admin.rows(
    `do $$ begin create role restricted login password 'x'; exception when duplicate_object then null; end $$`,
  )
  await admin.rows('revoke create on schema public from public')
  await admin.rows('grant all on all tables in schema public to restricted')
  await admin.rows('grant all on all sequences in schema public to restricted')
  const url = new URL(target)
  url.username = 'restricted'
  url.password = 'x'
  const { MikroORM } = await import('@mikro-orm/postgresql')
  const writer = await MikroORM.init({
    entities: [Author],
    clientUrl: url.href,
    discovery: { warnWhenNoEntities: false },
  })
  const a = world.several.place('a')
  const registry = new EngineRegistry<any>({ writer, a: { orm: a.orm } }, { recover: false }) as unknown as Registry
  const error = await rejection(addIn(registry, ['writer', 'a'], 'no table'))
  assert.instance(error, DecisionTableError)
  assert.ok(error.message.includes(DECISION_TABLE_SQL.postgresql), error.message)
  assert.is((error.cause as { code?: string }).code, '42501')
  await nothingAnywhere(world, 'no table')
  await admin.rows(DECISION_TABLE_SQL.postgresql)
  await admin.rows('grant select, insert, delete on sqlassist_decision to restricted')
  await addIn(registry, ['writer', 'a'], 'with table')
  assert.is(await has(a, 'with table'), 1)
  await writer.close()
  await admin.rows('drop owned by restricted')
  await admin.close()
})

test('a database that takes part and may have no table is known as what it is until its server starts again', async (world) => {
  const target = await newDatabase('postgresql')
  await (await openOrm(target)).close()
  const admin = await secondLook(target)
  await admin.rows(
    `do $$ begin create role restricted login password 'x'; exception when duplicate_object then null; end $$`,
  )
  await admin.rows('revoke create on schema public from public')
  await admin.rows('grant all on all tables in schema public to restricted')
  await admin.rows('grant all on all sequences in schema public to restricted')
  const via = new URL(target)
  via.username = 'restricted'
  via.password = 'x'
  const restricted = await openOrm(target, { via: via.href, contextName: 'restricted', hasSchema: true })
  const writer = world.several.place('writer')
  const registry = new EngineRegistry<any>({ writer: writer.orm, restricted }, { recover: false })
  for (let time = 0; time < 2; time++) await addIn(registry as never, ['writer', 'restricted'], 'without a table')
  assert.is(await has(writer, 'without a table'), 2)
  const rows = await writer.look.rows(`select participants from sqlassist_decision where decision = 'commit'`)
  for (const row of rows) assert.match(String(row['participants']), /^restricted=\d+\/\d+\/\d+$/)
  await registry.recover({ graceMs: 0 })
  assert.equal(await decisionsIn(writer), [])
  await restricted.close()
  await admin.rows('drop owned by restricted')
  await admin.close()
})

test('a SQLite file in which the table cannot be created: the same, and a commit of that role alone is fine', async (world) => {
  const file = await openOrm(await newDatabase('sqlite'))
  const handle: any = await file.em.getConnection().getNativeClient()
  handle.function('refuse', () => {
    throw new Error('no')
  })
  handle.exec('create view sqlassist_decision as select 1')
  const a = world.several.place('a')
  const registry = new EngineRegistry<any>({ file, a: { orm: a.orm } }, { recover: false }) as unknown as Registry
  await addIn(registry, ['file'], 'alone')
  const error = await rejection(addIn(registry, ['file', 'a'], 'no table'))
  assert.instance(error, DecisionTableError)
  assert.ok(error.message.includes(DECISION_TABLE_SQL.sqlite))
  await nothingAnywhere(world, 'no table')
  handle.exec('drop view sqlassist_decision')
  await addIn(registry, ['file', 'a'], 'with table')
  await file.close()
})

test(`MikroORM's schema generator leaves the table alone while the registry has the ORM`, async (world) => {
  for (const { orm } of world.several.places) {
    assert.not.match(await orm.schema.getUpdateSchemaSQL(), /sqlassist_decision/)
  }
  const target = await newDatabase('postgresql')
  const a = world.several.place('a')
  const { MikroORM } = await import('@mikro-orm/postgresql')
  const plain = await MikroORM.init({ entities: [Author], clientUrl: target })
  await plain.schema.create()
  const registry = new EngineRegistry<any>({ writer: plain, a: { orm: a.orm } }, { recover: false })
  await addIn(registry, ['writer', 'a'], 'seen')
  assert.is((await plain.schema.getUpdateSchemaSQL()).trim(), '')
  await plain.close()
})

test('two databases that cannot prepare: warned once for a set of roles, and committed one after the other', async (world) => {
  let registry: Registry | undefined
  const seen = await warnings('SQLASSIST_NOT_ATOMIC', async () => {
    registry = world.several.registry()
    for (let time = 0; time < 3; time++) await addIn(registry, ['file', 'book'], 'both')
    await addIn(registry, ['file', 'book', 'a'], 'all')
  })
  assert.is(seen.length, 1)
  assert.match(seen[0]!.message, /"file" is SQLite.*"book" is SQLite/)
  for (const role of ['file', 'book', 'a']) assert.is(await has(world.several.place(role), 'all'), 1)
  assert.is(await has(world.several.place('book'), 'both'), 3)
})

test(`atomic: 'required' refuses such a commit before anything is committed, and lets every other one be`, async (world) => {
  let registry: Registry | undefined
  const seen = await warnings('SQLASSIST_NOT_ATOMIC', async () => {
    const warned = once(process, 'warning')
    registry = world.several.registry({ atomic: 'required' })
    const error = await rejection(addIn(registry, ['file', 'book', 'a'], 'refused'))
    assert.instance(error, NotAtomicError)
    assert.match(error.message, /"file" is SQLite.*"book" is SQLite/)
    await warned
  })
  assert.match(seen[0]!.message, /is refused/)
  await nothingAnywhere(world, 'refused')
  await addIn(registry!, ['file', 'a', 'writer'], 'fine')
  await addIn(registry!, ['book'], 'fine')
})

test('autonomous, autocommit and read-only roles are no part of it', async (world) => {
  const { a, writer, file } = Object.fromEntries(world.several.places.map((place) => [place.role, place]))
  const engines = {
    writer: writer!.orm,
    a: { orm: a!.orm, commit: 'autonomous' },
    file: { orm: file!.orm, commit: 'autocommit' },
  }
  const registry = new EngineRegistry<any>(engines)
  await addIn(registry, ['a', 'writer', 'file'], 'each by itself')
  for (const place of [a!, writer!]) {
    assert.equal(
      place.wire!.sql().map((sql) => sql.split(' ')[0]),
      ['begin', 'insert', 'commit'],
    )
  }
})

test('with transactions disabled nothing of it happens', async (world) => {
  const { a, writer } = Object.fromEntries(world.several.places.map((place) => [place.role, place]))
  const registry = new EngineRegistry<any>({ writer: writer!.orm, a: a!.orm }, { disableTransaction: true })
  await addIn(registry, ['a', 'writer'], 'plain')
  for (const place of [a!, writer!]) {
    assert.equal(
      place.wire!.sql().map((sql) => sql.split(' ')[0]),
      ['begin', 'insert', 'commit'],
    )
  }
})

test('options that cannot work are refused', ({ several }) => {
  const refuses = (options: object, message: RegExp, engines = {}): void => {
    const make = () => several.registry(options, engines)
    assert.throws(make, (error: Error) => error instanceof ConfigurationError && message.test(error.message))
  }
  refuses({ atomic: true }, /atomic is true.*'required'/)
  refuses({ recover: true }, /recover is true.*everyMs, graceMs/)
  refuses({ recover: { every: 1 } }, /recover is .*everyMs, graceMs/)
  refuses({ recover: { everyMs: 0 } }, /recover\.everyMs is 0/)
  refuses({ recover: { graceMs: -1 } }, /recover\.graceMs is -1/)
  refuses({ name: 'a:b' }, /name is "a:b"/)
  refuses({ name: 'x'.repeat(33) }, /up to 32/)
  refuses({ names: 'x' }, /no option "names".*recover, name/)
  refuses({}, /"a" has twoPhase: "yes".*"auto", true, false/, { a: { twoPhase: 'yes' } })
})

test.run()

interface Unable {
  server: EmbeddedPostgres
  orms: Record<'one' | 'two' | 'three', TestOrm>
}

const unable = suite<Unable>('a server with max_prepared_transactions = 0')
unable.before(async (world) => {
  world.server = await startEmbeddedPostgres({ max_prepared_transactions: '0' })
  const look = await secondLook(world.server.url)
  const open = async (name: string): Promise<TestOrm> => {
    await look.rows(`create database ${name}`)
    return await openOrm(world.server.url.replace(/postgres$/, name), { contextName: name })
  }
  world.orms = { one: await open('one'), two: await open('two'), three: await openOrm(await newDatabase('postgresql')) }
  await look.close()
})
unable.after(async ({ server, orms }) => {
  for (const orm of Object.values(orms)) await orm.close()
  await server.stop()
})

unable('is found at the start, and the setting to change is said', async ({ orms }) => {
  const seen = await warnings('SQLASSIST_NOT_ATOMIC', async () => {
    const registry = new EngineRegistry<any>(orms)
    // What is watched in the background has been done.
    await registry.recover()
    await registry.run(async ({ dbSession }: any) => {
      for (const role of ['one', 'two']) await dbSession[role].insert(Author, { name: 'both' })
    })
  })
  assert.is(seen.length, 1)
  assert.match(
    seen[0]!.message,
    /"one" has max_prepared_transactions = 0: set it.*"two" has max_prepared_transactions = 0/,
  )
})

unable('decides, where one other that can prepare changed', async ({ orms: { one, three } }) => {
  const registry = new EngineRegistry<any>({ one, writer: three }, { atomic: 'required', recover: false })
  await registry.run(async ({ dbSession }: any) => {
    for (const role of ['one', 'writer']) await dbSession[role].insert(Author, { name: 'decided' })
  })
  const rows = await one.em.fork().execute(`select decision from sqlassist_decision where id <> 'database'`)
  assert.equal(rows, [{ decision: 'commit' }])
})

unable(
  'refuses what twoPhase: true forces on it: the vote fails, and the next one asks the server again',
  async ({ orms: { one, three } }) => {
    const registry = new EngineRegistry<any>({ one: { orm: one, twoPhase: true }, writer: three }, { recover: false })
    const error = await rejection(
      registry.run(async ({ dbSession }: any) => {
        for (const role of ['one', 'writer']) await dbSession[role].insert(Author, { name: 'forced' })
      }),
    )
    assert.instance(error, CannotPrepareError)
    assert.match(error.message, /prepared transactions are disabled/)
    for (const orm of [one, three]) assert.is(await orm.em.fork().count(Author, { name: 'forced' }), 0)
  },
)

unable('refuses in a sandbox what it would refuse without', async ({ orms: { one, two } }) => {
  const registry = new EngineRegistry<any>({ one, two }, { atomic: 'required' })
  const both = () =>
    registry.run(async ({ dbSession }: any) => {
      for (const role of ['one', 'two']) await dbSession[role].insert(Author, { name: 'refused' })
    })
  await warnings('SQLASSIST_NOT_ATOMIC', async () => {
    // What the first one asks is forgotten with it.
    for (let count = 0; count < 2; count++) {
      const sandbox = await createSandbox(registry)
      await sandbox.begin()
      assert.instance(await rejection(both()), NotAtomicError)
      await sandbox.close()
    }
    assert.instance(await rejection(both()), NotAtomicError)
  })
})

unable.run()
