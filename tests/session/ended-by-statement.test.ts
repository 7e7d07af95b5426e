/** A statement that ends the transaction of its session, which its text does not show. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { rejection } from '../support/rejection.ts'

const test = databaseSuite('a statement that ends its transaction unseen (postgresql)', 'postgresql')

/** PostgreSQL takes the backslash for one that escapes, where this library does not. */
const OFF = 'set local standard_conforming_strings = off'
const HIDDEN: Record<string, string> = {
  COMMIT: `select '\\''; commit; --'`,
  'COMMIT and another BEGIN': `select '\\''; commit; begin; --'`,
  'COMMIT AND CHAIN': `select '\\''; commit and chain; --'`,
  'COMMIT and an error': `select '\\''; commit; select 1 / 0; --'`,
}

function run(
  { orm }: DatabaseWorld,
  options: Partial<EngineOptions>,
  work: (em: any) => unknown,
  more = {},
): Promise<unknown> {
  return new EngineRegistry<any>({ writer: { orm, ...options } }, more).run(({ dbSession }: any) =>
    work(dbSession.writer),
  )
}

for (const [what, sql] of Object.entries(HIDDEN)) {
  test(`${what} is an error that says what was committed, and fails the unit though it was caught`, async (world) => {
    let told: any
    let later: any
    const error: any = await rejection(
      run(world, {}, async (em) => {
        await em.insert(Author, { name: 'before it' })
        await em.execute(OFF)
        told = await rejection(em.execute(sql))
        later = await rejection(em.insert(Author, { name: 'behind it' }))
      }),
    )
    assert.is(told.code, 'SQLASSIST_ENDED_BY_STATEMENT')
    assert.is(told.outcome, what.endsWith('error') ? 'unknown' : 'committed')
    assert.match(told.message, /may be committed|is committed and stays so/)
    assert.equal([later, error], [told, told])
    assert.equal(await authorNames(world.look), ['before it'])
  })
}

test('ROLLBACK and another BEGIN is one that says what was rolled back', async (world) => {
  const error: any = await rejection(
    run(world, {}, async (em) => {
      await em.insert(Author, { name: 'before it' })
      await em.execute(OFF)
      await rejection(em.execute(`select '\\''; rollback; begin; --'`))
      await rejection(em.insert(Author, { name: 'behind it' }))
    }),
  )
  assert.equal([error.code, error.outcome], ['SQLASSIST_ENDED_BY_STATEMENT', 'rolled back'])
  assert.equal(await authorNames(world.look), [])
})

test('nothing behind it is stored by a nested transaction, a stream, or a commit of the program', async (world) => {
  const works: ((em: any) => unknown)[] = [
    (em) => em.transactional((nested: any) => nested.insert(Author, { name: 'nested' })),
    (em) => Array.fromAsync(em.stream(Author)),
    (em) => em.commit(),
  ]
  for (const work of works) {
    const error: any = await rejection(
      run(
        world,
        {},
        async (em) => {
          await em.execute(OFF)
          await rejection(em.execute(HIDDEN['COMMIT and another BEGIN']))
          await work(em)
        },
        { disableTransaction: true },
      ),
    )
    assert.match(`${error.code} ${error.cause?.code}`, /SQLASSIST_ENDED_BY_STATEMENT/)
  }
  assert.equal(await authorNames(world.look), [])
})

test('one inside of em.transactional() is not undone with that, and fails the unit', async (world) => {
  const error: any = await rejection(
    run(world, {}, async (em) => {
      await em.execute(OFF)
      await rejection(
        em.transactional(async (nested: any) => {
          await nested.insert(Author, { name: 'nested' })
          await nested.execute(HIDDEN['COMMIT'])
        }),
      )
    }),
  )
  assert.is(error.code, 'SQLASSIST_ENDED_BY_STATEMENT')
  assert.equal(await authorNames(world.look), ['nested'])
})

test('one in a stream is noticed', async (world) => {
  const error: any = await rejection(
    run(world, {}, async (em) => {
      await em.execute(OFF)
      const rows = em.getKysely().selectFrom('author').selectAll()
      const compiled = { ...rows.compile(), sql: HIDDEN['COMMIT'] }
      await Array.fromAsync(em.getKysely().getExecutor().stream(compiled, 1))
    }),
  )
  assert.is(error.code, 'SQLASSIST_ENDED_BY_STATEMENT')
})

test('the work is not attempted again, since a part of it is committed', async (world) => {
  let attempts = 0
  const registry = new EngineRegistry<any>({ writer: world.orm })
  const error: any = await rejection(
    registry.run(
      async ({ dbSession: { writer } }: any) => {
        attempts++
        await writer.insert(Author, { name: 'once' })
        await writer.execute(OFF)
        await rejection(writer.execute(HIDDEN['COMMIT']))
        throw Object.assign(new Error('serialization'), { code: '40001' })
      },
      { attempts: 3 },
    ),
  )
  assert.equal([attempts, error.code], [1, 'SQLASSIST_NOT_RETRIED'])
  assert.equal(await authorNames(world.look), ['once'])
})

test('a procedure that commits is refused by the server, as the transaction is not its own', async (world) => {
  await world.look.rows(`create or replace procedure committing() language plpgsql as 'begin commit; end'`)
  const error: any = await rejection(
    run(world, {}, async (em) => {
      await em.insert(Author, { name: 'before it' })
      await em.execute('call committing()')
    }),
  )
  assert.is(error.code, '2D000')
  assert.equal(await authorNames(world.look), [])
})

test('a way back to a savepoint, beside others in one string, is none', async (world) => {
  await run(world, { initialState: 'changed' }, async (em) => {
    await em.execute(`savepoint mine; insert into author (id, name) values (1, 'undone')`)
    await em.execute(`select 1; rollback to savepoint mine; insert into author (id, name) values (2, 'kept')`)
  })
  assert.equal(await authorNames(world.look), ['kept'])
})

test.run()
