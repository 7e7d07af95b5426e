/** A connection that is lost before COMMIT is one error, from whichever call it comes, with the server's word as cause. */
import * as assert from 'uvu/assert'
import type pg from 'pg'
import { CommitOutcomeUnknownError, ConnectionLostError, EngineRegistry, isRetryable } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { poolIdle, listenersOf } from '../support/leaks.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { postgres, serverMajor } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWired, type Wired } from '../support/wired.ts'

type Em = any

interface World extends Wired {
  other: TestOrm
}

const test = suite<World>('a connection that is lost before COMMIT')

test.before(async (world) => {
  Object.assign(world, await openWired({ poolMax: 1 }))
  world.other = await openOrm(await newDatabase('postgresql'))
})
test.before.each(async (world) => {
  await world.look.rows('delete from author')
  world.wire.reset()
})
test.after.each(async ({ pool }) => {
  await poolIdle(pool)
  // MikroORM's own, and that of the pool.
  for (const client of clientsOf(pool)) assert.equal({ ...listenersOf(client), end: 0 }, { error: 2, end: 0 })
})
test.after(async ({ other, close }) => {
  await other.close()
  await close()
})

const clientsOf = (pool: pg.Pool) =>
  (pool as unknown as { _clients: (pg.PoolClient & { processID: number })[] })._clients

/** Over when pg has seen its end. */
const ended = (client: pg.PoolClient | undefined) => new Promise((resolve) => client!.once('end', resolve))

/** Ends what the one client of the pool is connected to, while it is idle; over when pg has seen it. */
async function terminate({ pool }: World): Promise<void> {
  const [client] = clientsOf(pool)
  const end = ended(client)
  await (await postgres()).adminQuery('select pg_terminate_backend($1)', [client!.processID])
  await end
}

const limit =
  (setting: string) =>
  async ({ pool }: World, em: Em) => {
    const end = ended(clientsOf(pool)[0])
    await em.execute(`set local ${setting} = '1ms'`)
    await end
  }

function assertLost(error: unknown, code: string, what = ''): void {
  assert.instance(error, ConnectionLostError, `${what}: ${String(error)}`)
  assert.is(((error as Error).cause as Em).code, code, what)
  assert.ok(isRetryable(error), what)
}

const all = (rows: AsyncIterable<unknown>) => Array.fromAsync(rows)

/** Calls that may be the first to meet the loss. */
const CALLS: Readonly<Record<string, (em: Em, txn: Em) => Promise<unknown>>> = {
  'a find': (em) => em.find(Author, {}),
  'an insert': (em) => em.insert(Author, { name: 'x' }),
  'a flush': (em) => em.persist(em.create(Author, { name: 'x' })).flush(),
  'raw SQL': (em) => em.execute('select 1'),
  Kysely: (em) => em.getKysely().selectFrom('author').selectAll().execute(),
  'Kysely with parameters': (em) => em.getKysely().selectFrom('author').where('name', '=', 'x').execute(),
  'a stream': (em) => all(em.stream(Author)),
  'em.transactional()': (em) => em.transactional((nested: Em) => nested.count(Author)),
}

for (const [what, meet] of Object.entries({
  ...CALLS,
  'a savepoint of the transaction': (em: Em, txn: Em) => em.insert(Author, { name: 'x' }).then(() => txn.savepoint()),
})) {
  test(`${what} that meets a transaction ended by the server, and the commit after it, have the server's word`, async (world) => {
    const registry = new EngineRegistry({ writer: world.orm })
    let met: unknown
    const error = await rejection(
      registry.run(async ({ dbSession, txn }) => {
        const em: Em = dbSession.writer
        await em.insert(Author, { name: 'first' })
        await terminate(world)
        met = await rejection(meet(em, txn))
      }),
    )
    assertLost(met, '57P01', what)
    if (!(error instanceof ConnectionLostError)) assert.instance(error.cause, ConnectionLostError)
    else assertLost(error, '57P01')
    assert.is(await world.look.value('select count(*) from author'), 0)
  })
}

const LIMITS = {
  '25P03': limit('idle_in_transaction_session_timeout'),
  ...((await serverMajor()) >= 17 ? { '25P04': limit('transaction_timeout') } : {}),
  '57P01': terminate as (world: World, em: Em) => Promise<void>,
}
const ROLES: Readonly<Record<string, object>> = {
  'a joined role': {},
  'a role that pipelines its commit': { pipelineCommit: true },
  'an autonomous role': { commit: 'autonomous' },
}
for (const [code, lose] of Object.entries(LIMITS)) {
  for (const [role, options] of Object.entries(ROLES)) {
    for (const [left, before, after] of [
      ['a flush', (em: Em) => em.count(Author), (em: Em) => void em.create(Author, { name: 'x' })],
      ['nothing but COMMIT', (em: Em) => em.insert(Author, { name: 'x' }), () => undefined],
    ] as const) {
      test(`${code} of ${role}, met by its end with ${left} to send: nothing was committed, and it can be done again`, async (world) => {
        const registry = new EngineRegistry<any>({ writer: { orm: world.orm, ...options } })
        const error = await rejection(
          registry.run(async ({ dbSession }: Em) => {
            await before(dbSession.writer)
            await lose(world, dbSession.writer)
            after(dbSession.writer)
          }),
        )
        assertLost(error, code)
        assert.is(world.wire.sql().includes('commit'), false)
        assert.is(await world.look.value('select count(*) from author'), 0)
      })
    }
  }
}

test('a lost connection is a ConnectionLostError where transactions are disabled, and in registry.session()', async (world) => {
  const disabled = new EngineRegistry({ writer: world.orm }, { disableTransaction: true })
  const unit = disabled.run(async ({ dbSession }) => {
    await (dbSession.writer as Em).insert(Author, { name: 'x' })
    await terminate(world)
  })
  assertLost(await rejection(unit), '57P01')

  const em: Em = new EngineRegistry({ writer: world.orm }).session('writer')
  await em.insert(Author, { name: 'x' })
  await terminate(world)
  assertLost(await rejection(em.count(Author)), '57P01')
  assertLost(await rejection(em.commit()), '57P01')
  await em.close()
  assert.is(await world.look.value('select count(*) from author'), 0)
})

test('work whose connection was lost before COMMIT is done again, with attempts', async (world) => {
  for (const pipelineCommit of [false, true]) {
    let attempts = 0
    await new EngineRegistry({ writer: { orm: world.orm, pipelineCommit } }).run(
      async ({ dbSession }) => {
        const em: Em = dbSession.writer
        await em.count(Author)
        if (++attempts === 1) await terminate(world)
        em.create(Author, { name: 'stored' })
      },
      { attempts: 2 },
    )
    assert.is(attempts, 2)
  }
  assert.is(await world.look.value('select count(*) from author'), 2)
})

/** The backend is ended while it waits for a lock. */
async function duringAStatement(world: World, run: Promise<unknown>): Promise<unknown> {
  const failure = rejection(run)
  const [waiter] = `select pid from pg_locks where not granted and pid = any($1)`.split('\n')
  let pid: unknown
  await until(async () => {
    const pids = clientsOf(world.pool).map(({ processID }) => processID)
    pid = (await (await postgres()).adminQuery(waiter!, [pids]))[0]?.['pid']
    return pid !== undefined
  }, 'the statement to wait')
  await (await postgres()).adminQuery('select pg_terminate_backend($1)', [pid])
  return await failure
}

for (const [role, options] of Object.entries({
  ...ROLES,
  'a role that only reads': { readOnly: true },
  'a snapshot': { readOnly: 'snapshot' },
})) {
  for (const [what, send] of Object.entries({
    'its first statement': (em: Em) => em.count(Author),
    'its first statement, with parameters': CALLS['Kysely with parameters']!,
    'a stream': CALLS['a stream']!,
  })) {
    test(`the server ends ${role} during ${what}`, async (world) => {
      const registry = new EngineRegistry<any>({ writer: { orm: world.orm, ...options } })
      await world.look.rows('begin')
      await world.look.rows('lock table author')
      const run = registry.run(({ dbSession }: Em) => send(dbSession.writer, undefined))
      const error = await duringAStatement(world, run)
      await world.look.rows('rollback')
      assertLost(error, '57P01')
    })
  }
}

test('cut by the network, the word is that of the network', async (world) => {
  const error = await rejection(
    new EngineRegistry({ writer: world.orm }).run(async ({ dbSession }) => {
      world.wire.cut(/^begin/, 'before')
      await (dbSession.writer as Em).count(Author)
    }),
  )
  assert.instance(error, ConnectionLostError)
  assert.instance(error.cause, Error)
  assert.ok(isRetryable(error))
})

test('a statement with COMMIT behind it that the connection did not survive: unknown, as before', async (world) => {
  const registry = new EngineRegistry({ writer: { orm: world.orm, pipelineCommit: true } })
  world.wire.cut(/commit$/, 'before')
  const error = await rejection(
    registry.run(({ dbSession }) => void (dbSession.writer as Em).create(Author, { name: 'x' })),
  )
  assert.instance(error, CommitOutcomeUnknownError)
  assert.is(isRetryable(error), false)
})

test('met by PREPARE TRANSACTION: nothing was committed anywhere', async (world) => {
  const registry = new EngineRegistry<any>(
    { decides: { orm: world.other, default: true }, writer: world.orm },
    { recover: false },
  )
  const error = await rejection(
    registry.run(async ({ dbSession }: Em) => {
      await dbSession.decides.insert(Author, { name: 'x' })
      await dbSession.writer.insert(Author, { name: 'x' })
      await terminate(world)
    }),
  )
  assertLost(error, '57P01')
  assert.is(await world.other.em.fork().count(Author), 0)
})

test.run()
