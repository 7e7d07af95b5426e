/** What the transactions of a test share with the connection of a sandbox, and do not see of one another. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import {
  createSandbox,
  SandboxLeakError,
  SandboxLostError,
  SandboxReplayError,
  type Sandbox,
} from '../../source/testing/index.ts'
import { Author } from '../support/entities.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'
import { openWired } from '../support/wired.ts'

type Role = 'writer' | 'audit' | 'logger'

interface World {
  registry: EngineRegistry<Record<Role, EngineOptions<TestOrm>>>
  sandbox: Sandbox
}

const test = suite<World>('the shared connection of a sandbox')
const TENANT = `coalesce(current_setting('app.tenant', true), '')`

test.before.each(async (world) => {
  const target = await newDatabase('postgresql')
  const open = async (fork: EngineOptions['fork'] = {}) => ({ orm: await openOrm(target), fork })
  const engines: Record<Role, EngineOptions<TestOrm>> = {
    writer: await open({ session: { variables: { 'app.tenant': 'one' } } }),
    audit: {
      ...(await open({ session: { variables: { 'app.tenant': 'two' }, role: 'pg_read_all_data' } })),
      twoPhase: false,
    },
    logger: { ...(await open()), commit: 'autonomous' },
  }
  world.registry = new EngineRegistry(engines)
  await world.registry
    .get('writer')
    .em.fork()
    .execute(
      `create table tagged (name text, tenant text default ${TENANT}, secret uuid default gen_random_uuid());
      grant insert on tagged to public`,
    )
  world.sandbox = await createSandbox(world.registry, { waitMs: 500, sequences: 'restore' })
  await world.sandbox.begin()
})
test.after.each(async ({ registry, sandbox }) => {
  await sandbox.close()
  await registry.close()
})

const add = ({ registry }: World, name: string) =>
  registry.run(({ dbSession }) => dbSession.writer.insert(Author, { name }))
const names = ({ registry }: World) =>
  registry.run(async ({ dbSession }) => (await dbSession.writer.find(Author, {})).map(({ name }) => name))
/** Writes by a run inside of a run that then fails. */
const addInside = ({ registry }: World, role: Role, sql: string) =>
  rejection(
    registry.run(async ({ dbSession: { writer } }) => {
      await writer.insert(Author, { name: 'undone' })
      await registry.run(async ({ dbSession }) => {
        await dbSession.get(role).execute(sql)
        dbSession.markChanged(role)
      })
      throw new Error('meant')
    }),
  )

test('what is done again has the variables of its own role', async (world) => {
  await addInside(world, 'audit', `insert into tagged (name) values ('kept')`)
  const found = await world.registry.run(({ dbSession }) =>
    dbSession.writer.execute('select name, tenant, pg_catalog.count(*) over () as count from tagged'),
  )
  assert.equal(found, [{ name: 'kept', tenant: 'two', count: '1' }])
  await world.sandbox.rollback()
})

test('a role has its variables and its user behind a way back to a savepoint of another one', async (world) => {
  const { registry, sandbox } = world
  const seen = `select ${TENANT} as tenant, current_setting('role') as role`
  const found = await registry.run(async ({ dbSession: { writer, audit, logger } }) => {
    const first = await writer.execute(seen)
    await writer.execute('savepoint own')
    const second = await audit.execute(seen)
    await writer.execute('rollback to own')
    return [first, second, await audit.execute(seen), await writer.execute(seen), await logger.execute(seen)].flat()
  })
  const [one, two] = [
    { tenant: 'one', role: 'none' },
    { tenant: 'two', role: 'pg_read_all_data' },
  ]
  assert.equal(found, [one, two, two, one, { tenant: '', role: 'none' }])
  await sandbox.rollback()
})

test('a role has its variables behind a level in which they were set', async (world) => {
  const { registry, sandbox } = world
  await add(world, 'of one')
  await sandbox.begin()
  await registry.run(({ dbSession }) => dbSession.logger.insert(Author, { name: 'of none' }))
  await sandbox.rollback()
  const [found] = await registry.run(({ dbSession }) => dbSession.logger.execute(`select ${TENANT} as tenant`))
  assert.equal(found, { tenant: '' })
  await sandbox.rollback()
})

test('a test in which something could not be done again fails, and the next one does not', async (world) => {
  const { sandbox } = world
  await add(world, 'fixture')
  await sandbox.begin()
  await addInside(world, 'writer', `insert into tagged (name) values ('new each time') returning secret`)
  for (let count = 0; count < 2; count++) {
    const error = await rejection(names(world))
    assert.instance(error.cause ?? error, SandboxReplayError)
  }
  await sandbox.rollback()
  assert.equal(await names(world), ['fixture'])
  await sandbox.rollback()
})

test('a session left open in which a statement has failed leaves nothing in the next test', async (world) => {
  const { registry, sandbox } = world
  await add(world, 'fixture')
  await sandbox.begin()
  await add(world, 'undone')
  const em = registry.session('writer')
  await em.insert(Author, { name: 'open' })
  await rejection(em.execute('select nothing'))
  assert.instance(await rejection(sandbox.rollback()), SandboxLeakError)
  await em.close()
  assert.equal(await names(world), ['fixture'])
  await sandbox.rollback()
})

test('a statement that is under way as its test is rolled back is cancelled', async (world) => {
  const { registry, sandbox } = world
  await add(world, 'before')
  const running = rejection(registry.run(({ dbSession }) => dbSession.writer.execute('select pg_sleep(600)')))
  assert.instance(await rejection(sandbox.rollback()), SandboxLeakError)
  await running
})

test('a database that could not be asked which one it is, is asked again', async () => {
  const { orm, wire, close } = await openWired()
  const registry = new EngineRegistry({ writer: orm })
  const sandbox = await createSandbox(registry)
  await sandbox.begin()
  const count = () => registry.run(({ dbSession }) => dbSession.writer.count(Author))
  await wire.down()
  await rejection(count())
  await wire.up()
  assert.is(await count(), 0)
  await sandbox.close()
  await registry.close()
  await close()
})

test('the connection is of a role that may write, also where another one comes first', async () => {
  const target = await newDatabase('postgresql')
  const writer = await openOrm(target)
  const onCreateConnection = async (connection: any): Promise<void> => {
    const sql = 'set default_transaction_read_only = on'
    await connection.executeQuery({ sql, parameters: [], query: { kind: 'RawNode' } })
  }
  const reader = await openOrm(target, { hasSchema: true, config: { onCreateConnection } })
  const registry = new EngineRegistry({ reader: { orm: reader, readOnly: true }, writer })
  const sandbox = await createSandbox(registry)
  await sandbox.begin()
  assert.is(await registry.run(({ dbSession }) => dbSession.reader.count(Author)), 0)
  await registry.run(({ dbSession }) => dbSession.writer.insert(Author, { name: 'new' }))
  assert.is(await registry.run(({ dbSession }) => dbSession.reader.count(Author)), 1)
  await sandbox.close()
  await registry.close()
})

test('the report counts those of all databases, and an isolation level is warned of once', async () => {
  const open = async () => await openOrm(await newDatabase('postgresql'))
  const registry = new EngineRegistry({
    writer: { orm: await open(), isolationLevel: 'serializable' },
    audit: await open(),
  })
  const sandbox = await createSandbox(registry)
  await sandbox.begin()
  const seen = await warnings('SQLASSIST_SANDBOX_ISOLATION', async () => {
    for (let count = 0; count < 2; count++)
      await registry.run(({ dbSession }) => dbSession.writer.insert(Author, { name: 'isolated' }))
  })
  assert.is(seen.length, 1)
  assert.match(seen[0]!.message, /"writer" asks for isolation level "serializable"/)
  await registry.run(({ dbSession }) => dbSession.audit.insert(Author, { name: 'plain' }))
  assert.is(sandbox.report().frames, 3)
  await sandbox.close()
  await registry.close()
})

test('a client that goes away cancels nothing of a run inside of its request', async () => {
  const { orm, wire, look, target, close } = await openWired()
  const gate = await secondLook(target)
  const registry = new EngineRegistry({ writer: orm })
  const sandbox = await createSandbox(registry)
  await sandbox.begin()
  await gate.rows('select pg_advisory_lock(1)')
  const controller = new AbortController()
  const inside = () =>
    registry.run(({ dbSession }) => dbSession.writer.execute('select pg_advisory_xact_lock_shared(1)'))
  let inner: Promise<unknown> | undefined
  const running = rejection(
    registry.run(
      async ({ dbSession }) => {
        await dbSession.writer.insert(Author, { name: 'undone' })
        await (inner = inside())
      },
      { signal: controller.signal },
    ),
  )
  const waits = `select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()`
  await until(async () => (await look.value(waits)) === 1)
  controller.abort(new Error('gone'))
  await gate.rows('select pg_advisory_unlock_all()')
  await inner
  assert.is((await running).message, 'gone')
  assert.is(wire.cancels, 0)
  await sandbox.close()
  await registry.close()
  await gate.close()
  await close()
})

test('a way back that the database refuses loses the sandbox', async () => {
  const target = await newDatabase('postgresql')
  await (await openOrm(target)).close()
  const look = await secondLook(target)
  await look.rows('alter table author add constraint late unique (name) deferrable initially deferred')
  await look.rows('create schema own')
  // What is asked along with the first statement fails, before its savepoint is set.
  await look.rows(`create function own.format(text, name, name) returns text language plpgsql as
    $$ begin raise 'refused'; end $$`)
  const onCreateConnection = async (connection: any): Promise<void> => {
    const sql = 'set search_path to own, pg_catalog, public'
    await connection.executeQuery({ sql, parameters: [], query: { kind: 'RawNode' } })
  }
  const registry = new EngineRegistry({
    writer: await openOrm(target, { hasSchema: true, config: { onCreateConnection } }),
  })
  const sandbox = await createSandbox(registry)
  await sandbox.begin()
  const insert = () => registry.run(({ dbSession }) => dbSession.writer.insert(Author, { name: 'new' }))
  await rejection(insert())
  assert.instance(await rejection(sandbox.rollback()), SandboxLostError)
  await look.rows('drop schema own cascade')
  await sandbox.begin()
  await insert()
  await sandbox.rollback()
  await sandbox.close()
  await registry.close()
  await look.close()
})

test.run()
