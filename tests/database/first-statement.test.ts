import * as assert from 'uvu/assert'
import { sql } from 'kysely'
import type pg from 'pg'
import {
  ConnectionLostError,
  EngineRegistry,
  ManagedSessionError,
  TransactionAbortedError,
} from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { openOrm, type TestOrm } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWired, type Wired } from '../support/wired.ts'

type Em = any

interface World extends Wired {
  registry: EngineRegistry<{ writer: TestOrm }>
}

const test = suite<World>('BEGIN with the first statement, on PostgreSQL')

test.before(async (world) => {
  Object.assign(world, await openWired({ poolMax: 2 }))
  world.registry = new EngineRegistry({ writer: world.orm })
})
test.before.each(async ({ look, wire }) => {
  await look.rows('delete from author')
  wire.reset()
})
test.after.each(async ({ pool }) => await poolIdle(pool))
test.after(({ close }) => close())

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(rows)
}

/** Whether a client of that pool is in pg_sleep. */
async function sleeps(pool: pg.Pool): Promise<boolean> {
  const { adminQuery } = await postgres()
  const pids = (pool as pg.Pool & { _clients: { processID: number }[] })._clients.map(({ processID }) => processID)
  const active = `select from pg_stat_activity where wait_event = 'PgSleep' and pid = any($1)`
  return (await adminQuery(active, [pids])).length > 0
}

const FAILING_FIRSTS: readonly {
  name: string
  run: (em: Em) => Promise<unknown>
  code: string
}[] = [
  { name: 'raw SQL with a syntax error', run: (em) => em.execute('selec 1'), code: '42601' },
  {
    name: 'two statements, the second with a syntax error',
    run: (em) => em.execute('select 1; selec 1'),
    code: '42601',
  },
  {
    name: 'a write and a syntax error behind it',
    run: (em) => em.execute(`insert into author (name) values ('in front'); selec 1`),
    code: '42601',
  },
  {
    name: 'Kysely with parameters and a syntax error',
    run: (em) => sql`selec ${1}`.execute(em.getKysely()),
    code: '42601',
  },
  { name: 'a stream with a syntax error', run: (em) => all(em.getConnection().stream('selec 1')), code: '42601' },
  { name: 'a table that is not there', run: (em) => em.execute('select * from nowhere'), code: '42P01' },
  { name: 'a division by zero', run: (em) => em.execute('select 1 / 0'), code: '22012' },
  {
    name: 'Kysely with parameters that fails',
    run: (em) => sql`select 1 / ${0}::int`.execute(em.getKysely()),
    code: '22012',
  },
  { name: 'a stream that fails', run: (em) => all(em.getConnection().stream('select * from nowhere')), code: '42P01' },
]

for (const { name, run, code } of FAILING_FIRSTS) {
  test(`${name} first, swallowed: nothing later is stored, and the commit fails with that error as cause`, async (world) => {
    let later: unknown
    const error = await rejection(
      world.registry.run(async ({ dbSession }) => {
        const em: Em = dbSession.writer
        await rejection(run(em))
        later = await rejection(em.insert(Author, { name: 'autocommit?' }))
        await rejection(em.getKysely().insertInto('author').values({ name: 'autocommit?' }).execute())
        em.create(Author, { name: 'autocommit?' })
      }),
    )
    assert.ok(later instanceof TransactionAbortedError || (later as { code: string }).code === '25P02', String(later))
    assert.ok(error instanceof TransactionAbortedError || (error as { code?: string }).code === '25P02', String(error))
    assert.is(await world.look.value('select count(*) from author'), 0)
    if (code === '42601' && later instanceof TransactionAbortedError) {
      assert.is((later.cause as { code: string }).code, code)
      assert.equal(
        world.wire.sql().filter((text) => text.startsWith('insert into "author"')),
        [],
      )
    }
  })

  test(`${name} first, alone: the commit of a session marked as changed fails with that error as cause`, async (world) => {
    const error = await rejection(
      world.registry.run(async ({ dbSession }) => {
        await rejection(run(dbSession.writer))
        ;(dbSession as Em).markChanged('writer')
      }),
    )
    assert.instance(error, TransactionAbortedError)
    assert.is((error.cause as { code: string }).code, code)
    assert.is(await world.look.value('select count(*) from author'), 0)
  })
}

test('a syntax error among six first statements at once: none of them is stored', async ({ registry, look }) => {
  let outcomes: PromiseSettledResult<unknown>[] = []
  const error = await rejection(
    registry.run(async ({ dbSession }) => {
      const em: Em = dbSession.writer
      const inserts = [1, 2, 3, 4, 5].map((n) => em.insert(Author, { name: `${n}` }))
      outcomes = await Promise.allSettled([em.execute('selec 1'), ...inserts].toReversed())
    }),
  )
  assert.instance(error, TransactionAbortedError)
  assert.ok(outcomes.some(({ status }) => status === 'rejected'))
  assert.is(await look.value('select count(*) from author'), 0)
})

test('a first statement that fails inside em.transactional() is rolled back with its savepoint, and the rest is stored', async (world) => {
  await world.registry.run(async ({ dbSession }) => {
    const em: Em = dbSession.writer
    await rejection(em.transactional((nested: Em) => nested.execute('selec 1')))
    await em.insert(Author, { name: 'kept' })
  })
  assert.equal(await world.look.rows('select name from author'), [{ name: 'kept' }])
  assert.equal(world.wire.trips()[0]?.messages, ['begin;savepoint trx1'])
})

test('a raw savepoint in the failing first string is there to go back to', async (world) => {
  await world.registry.run(async ({ dbSession }) => {
    const em: Em = dbSession.writer
    await rejection(em.execute('savepoint mine; select 1 / 0'))
    await em.execute('rollback to mine')
    await em.insert(Author, { name: 'kept' })
  })
  assert.is(await world.look.value('select count(*) from author'), 1)
})

test('a first statement that was cancelled leaves nothing that could run in autocommit', async (world) => {
  const error = await rejection(
    world.registry.run(async ({ dbSession }) => {
      const em: Em = dbSession.writer
      const abort = new AbortController()
      em.signal = abort.signal
      em.inflightQueryAbortStrategy = 'cancel query'
      const running = rejection(em.execute('select pg_sleep(300)'))
      await until(() => sleeps(world.pool), 'the statement to run')
      abort.abort()
      await running
      em.signal = undefined
      await rejection(em.insert(Author, { name: 'autocommit?' }))
      ;(dbSession as Em).markChanged('writer')
    }),
  )
  assert.ok(error instanceof TransactionAbortedError, String(error))
  assert.is(await world.look.value('select count(*) from author'), 0)
})

for (const when of ['before', 'after'] as const) {
  test(`a connection cut ${when} the first statement: it fails, nothing is stored, and the commit says it was lost`, async (world) => {
    const { wire } = world
    let first: unknown
    const error = await rejection(
      world.registry.run(async ({ dbSession }) => {
        const em: Em = dbSession.writer
        wire.cut(/^begin;insert/, when)
        first = await rejection(
          em.getKysely().executeQuery(sql`insert into author (name) values ('first')`.compile(em.getKysely())),
        )
        await rejection(em.insert(Author, { name: 'second' }))
        ;(dbSession as Em).markChanged('writer')
      }),
    )
    assert.instance(error, ConnectionLostError)
    assert.instance(first, ConnectionLostError)
    assert.is(error.cause, (first as ConnectionLostError).cause)
    assert.is(await world.look.value('select count(*) from author'), 0)
    await world.registry.run(({ dbSession }) => (dbSession.writer as Em).insert(Author, { name: 'later' }))
    assert.is(await world.look.value('select count(*) from author'), 1)
  })
}

test('a connection that died before the commit, with nothing tried on it since, is said to be lost', async (world) => {
  const error = await rejection(
    world.registry.run(async ({ dbSession }) => {
      await (dbSession.writer as Em).insert(Author, { name: 'first' })
      const [client] = (world.pool as pg.Pool & { _clients: pg.PoolClient[] })._clients
      const ended = new Promise((resolve) => client!.once('end', resolve))
      world.wire.cutAll()
      await ended
    }),
  )
  assert.instance(error, ConnectionLostError)
})

test('a BEGIN that fails in front of a statement with parameters: the statement does not run', async ({
  orm,
  look,
}) => {
  const registry = new EngineRegistry({ writer: { orm, fork: { session: { role: 'nobody' } } } })
  const error = await rejection(
    registry.run(async ({ dbSession }) => {
      const em: Em = dbSession.writer
      const insert = () => em.getKysely().insertInto('author').values({ name: 'autocommit?' }).execute()
      assert.is(((await rejection(insert())) as Em).code, '22023')
      assert.is(((await rejection(insert())) as Em).code, '25P02')
    }),
  )
  assert.instance(error, TransactionAbortedError)
  assert.is(await look.value('select count(*) from author'), 0)
})

const WRONG = 'select nme from author'
const LOCATED: readonly { name: string; run: (em: Em) => Promise<unknown> }[] = [
  { name: 'a statement', run: (em) => em.execute(WRONG) },
  { name: 'a stream', run: (em) => all(em.getConnection().stream(WRONG)) },
  { name: 'a statement with parameters', run: (em) => sql`${sql.raw(WRONG)} where id = ${1}`.execute(em.getKysely()) },
]
for (const { name, run } of LOCATED) {
  test(`the error of ${name} tells the place in the program's own text, first and later`, async ({ orm }) => {
    const session = { variables: { 'app.tenant': '😀' } }
    for (const fork of [{}, { session }]) {
      const registry = new EngineRegistry({ writer: { orm, fork } })
      await registry
        .run(async ({ dbSession }) => {
          const error = (await rejection(run(dbSession.writer))) as Error & { position?: string }
          assert.is(error.position, String(WRONG.indexOf('nme') + 1))
        })
        .catch((error: Error) => assert.instance(error, TransactionAbortedError))
      await registry
        .run(async ({ dbSession }) => {
          await (dbSession.writer as Em).execute('savepoint before')
          const error = (await rejection(run(dbSession.writer))) as Error & { position?: string }
          assert.is(error.position, String(WRONG.indexOf('nme') + 1))
        })
        .catch((error: Error) => assert.instance(error, TransactionAbortedError))
    }
  })
}

test('the first statement gives what it gives later: rows, counts, several results, nothing', async ({ registry }) => {
  const statements: readonly ((em: Em) => Promise<unknown>)[] = [
    (em) => em.execute('select 1 as one'),
    (em) => em.execute(`insert into author (name) values ('a'), ('b')`, [], 'run'),
    (em) => em.execute('select 1 as one; select 2 as two'),
    (em) => em.execute(`insert into author (name) values ('a'); select 2 as two`),
    (em) => em.execute('-- nothing'),
    (em) => em.execute(''),
    (em) => sql`select ${1}::int as one`.execute(em.getKysely()),
    (em) => em.getKysely().insertInto('author').values({ name: 'a' }).executeTakeFirst(),
    (em) => all(em.getConnection().stream('select generate_series(1, 3) as n')),
  ]
  for (const statement of statements) {
    await registry
      .run(async ({ dbSession, txn }) => {
        const em: Em = dbSession.writer
        const first = await statement(em)
        assert.equal(await statement(em), first)
        txn.doom()
      })
      .catch((error: Em) => assert.is(error.code, 'SQLASSIST_TRANSACTION_DOOMED', String(error)))
  }
})

test('where only a refused statement came first, nothing is sent at all, and the commit is nothing to send either', async (world) => {
  await world.registry.run(async ({ dbSession }) => {
    assert.instance(await rejection((dbSession.writer as Em).execute('commit')), ManagedSessionError)
    ;(dbSession as Em).markChanged('writer')
  })
  assert.equal(world.wire.sql(), [])
})

test('BEGIN with an isolation level, variables and a role costs no round trip', async ({ orm, wire, look }) => {
  await look.rows('grant all on author to public')
  await look.rows('create role tenant_of_test').catch(() => undefined)
  const fork = { session: { variables: { 'app.tenant': 'one' }, role: 'tenant_of_test' } }
  const registry = new EngineRegistry({ writer: { orm, fork, isolationLevel: 'serializable' } })
  await registry.run(async ({ dbSession }) => {
    const em: Em = dbSession.writer
    const facts = `select current_user as role, current_setting('app.tenant') as tenant, current_setting('transaction_isolation') as level`
    const expected = [{ role: 'tenant_of_test', tenant: 'one', level: 'serializable' }]
    assert.equal(await em.execute(facts), expected)
    assert.is(wire.trips().length, 1)
    assert.equal((await sql`${sql.raw(facts)} where 1 = ${1}`.execute(em.getKysely())).rows, expected)
    assert.is(wire.trips().length, 2)
  })
})

for (const conforming of ['on', 'off']) {
  test(`a variable is set as it is, whatever is in it, with standard_conforming_strings = ${conforming}`, async (world) => {
    const database = String(await world.look.value('select current_database()'))
    await world.look.rows(`alter database "${database}" set standard_conforming_strings = ${conforming}`)
    const orm = await openOrm(world.wire.url)
    for (const value of [
      `o'hara`,
      `\\`,
      `\\'; drop table author; --`,
      `'; drop table author; --`,
      `a\\\\'b`,
      '$$',
      'ä😀',
    ]) {
      const registry = new EngineRegistry({
        writer: { orm, fork: { session: { variables: { 'app.tenant': value } } } },
      })
      const [row] = await registry.run(({ dbSession }) =>
        (dbSession.writer as Em).execute(`select current_setting('app.tenant') as tenant`),
      )
      assert.is(row.tenant, value)
    }
    await world.look.rows(`alter database "${database}" reset standard_conforming_strings`)
    await orm.close()
    assert.is(await world.look.value('select count(*) from author'), 0)
  })
}

test.run()
