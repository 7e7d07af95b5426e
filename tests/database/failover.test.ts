/** Connections that a failover has left on a server that cannot write any more, and transactions that are read-only on purpose. */
import * as assert from 'uvu/assert'
import type pg from 'pg'
import { ConnectionLostError, EngineRegistry, isRetryable, type EngineOptions } from '../../source/index.ts'
import { clearTables } from '../support/authors.ts'
import { Author } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { newDatabase, openOrm, poolOf, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

type Em = any

interface World {
  target: string
  orm: TestOrm
  pool: pg.Pool
  look: SecondLook
}

const test = suite<World>('after a failover')

test.before(async (world) => {
  world.target = await newDatabase('postgresql')
  world.look = await secondLook(world.target)
  world.orm = await openOrm(world.target, { poolMax: 3 })
  await world.look.rows(
    `create function write() returns void language sql as $$ insert into author (name) values ('x') $$`,
  )
  // As a standby does, which can be read from.
  await readOnly(world, true)
})
test.before.each(async (world) => {
  await clearTables(world.look)
  await world.orm.close()
  await world.orm.connect()
  world.pool = await poolOf(world.orm)
})
test.after.each(({ pool }) => poolIdle(pool))
test.after(async ({ orm, look }) => {
  await orm.close()
  await look.close()
})

/** What connections get that are opened from here on. */
async function readOnly({ look, target }: World, isReadOnly: boolean): Promise<void> {
  const name = new URL(target).pathname.slice(1)
  await look.rows(`alter database ${name} ${isReadOnly ? 'set default_transaction_read_only = on' : 'reset all'}`)
}

/** Fills the pool with connections to the old primary. */
async function failOver(world: World): Promise<void> {
  await readOnly(world, true)
  const clients = await Promise.all(Array.from({ length: 3 }, () => world.pool.connect()))
  for (const client of clients) client.release()
  await readOnly(world, false)
}

const insert = (em: Em) => em.insert(Author, { name: 'stored' })
const ROLES: Readonly<Record<string, [Omit<EngineOptions, 'orm'>, (em: Em) => unknown]>> = {
  'an insert of a joined role': [{}, insert],
  'a joined role, at its commit': [{}, (em) => void em.create(Author, { name: 'stored' })],
  'a role that pipelines its commit': [{ pipelineCommit: true }, (em) => void em.create(Author, { name: 'stored' })],
  'an autonomous role': [{ commit: 'autonomous' }, (em) => void em.create(Author, { name: 'stored' })],
  'raw SQL': [{ rawWrites: 'commit' }, (em) => em.execute(`insert into author (name) values ('stored')`)],
  'a function that writes': [{ rawWrites: 'commit' }, (em) => em.execute('select write()')],
  'SELECT FOR UPDATE': [{}, (em) => em.execute('select 1 from author for update').then(() => insert(em))],
  'em.transactional()': [{}, (em) => em.transactional(insert)],
  'a flush of an autocommit role': [{ commit: 'autocommit' }, (em) => void em.create(Author, { name: 'stored' })],
  'an insert of an autocommit role': [{ commit: 'autocommit' }, insert],
  'em.transactional() of an autocommit role': [{ commit: 'autocommit' }, (em) => em.transactional(insert)],
}
for (const [what, [options, work]] of Object.entries(ROLES)) {
  test(`${what} fails with an error worth a retry, and the old connections are given up at once`, async (world) => {
    const registry = new EngineRegistry<any>({ writer: { orm: world.orm, ...options } })
    await failOver(world)
    const error = await rejection(registry.run(({ dbSession }: Em) => work(dbSession.writer)))
    assert.instance(error, ConnectionLostError, String(error))
    assert.match(error.message, /role "writer" leads to a server that cannot write any more/)
    assert.equal([(error.cause as Em).code, isRetryable(error)], ['25006', true])
    for (let i = 0; i < 3; i++) await registry.run(({ dbSession }: Em) => work(dbSession.writer))
    assert.is(await world.look.value('select count(*) from author'), 3)
  })

  // What ends behind the decision on another attempt is not run again.
  if (['an autonomous role', 'a flush of an autocommit role'].includes(what)) continue
  test(`${what} succeeds by another attempt`, async (world) => {
    const registry = new EngineRegistry<any>({ writer: { orm: world.orm, ...options } })
    await failOver(world)
    await registry.run(({ dbSession }: Em) => work(dbSession.writer), { attempts: 2 })
    assert.is(await world.look.value('select count(*) from author'), 1)
  })
}

const write = (em: Em) => em.execute('select write()')
const ON_PURPOSE: Readonly<Record<string, [Omit<EngineOptions, 'orm'>, (em: Em) => Promise<unknown>]>> = {
  'a snapshot role': [{ readOnly: 'snapshot' }, write],
  'a joined role with SET TRANSACTION READ ONLY': [
    {},
    async (em) => {
      await em.execute('set transaction isolation level read committed, read only')
      await insert(em)
    },
  ],
  'a joined role with the setting': [
    {},
    async (em) => {
      await em.execute(`select set_config('transaction_read_only', 'on', true)`)
      await insert(em)
    },
  ],
  'a joined role with the setting behind something else': [
    {},
    async (em) => {
      await em.execute(`select 1, set_config('transaction_read_only', 'on', true)`)
      await insert(em)
    },
  ],
  'a joined role with SET TRANSACTION READ ONLY long before': [
    {},
    async (em) => {
      await em.execute('set transaction read only')
      for (let more = 0; more < 20; more++) await em.execute('select 1')
      await insert(em)
    },
  ],
  'em.transactional({ readOnly: true }) of an autocommit role': [
    { commit: 'autocommit' },
    (em) => em.transactional(write, { readOnly: true }),
  ],
}
for (const [what, [options, work]] of Object.entries(ON_PURPOSE)) {
  test(`a write in ${what} is the mistake of the program, and the connection stays`, async (world) => {
    await readOnly(world, false)
    const registry = new EngineRegistry<any>({ role: { orm: world.orm, ...options } })
    const error: Em = await rejection(registry.run(({ dbSession }: Em) => work(dbSession.role)))
    const code = options.readOnly === undefined ? '25006' : 'SQLASSIST_READ_ONLY_SESSION'
    assert.equal([error.code, isRetryable(error)], [code, false])
    await poolIdle(world.pool)
    assert.is(world.pool.totalCount, 1)
  })
}

test('a write in a read-only role on a standby is the mistake of the program, and the connection stays', async (world) => {
  await failOver(world)
  const registry = new EngineRegistry<any>({ role: { orm: world.orm, readOnly: true } })
  const error: Em = await rejection(registry.run(({ dbSession }: Em) => write(dbSession.role)))
  assert.equal([error.code, isRetryable(error)], ['SQLASSIST_READ_ONLY_SESSION', false])
  assert.is(world.pool.totalCount, 3)
})

test.run()
