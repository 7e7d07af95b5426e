/** A server with German `lc_messages`: what it answers means what it means in English. */
import * as assert from 'uvu/assert'
import { UniqueConstraintViolationException } from '@mikro-orm/core'
import {
  CannotPrepareError,
  CommitOutcomeUnknownError,
  ConnectionLostError,
  EngineRegistry,
  isRetryable,
} from '../../source/index.ts'
import { clearTables } from '../support/authors.ts'
import { Author, Book } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { openWired, type Wired } from '../support/wired.ts'

type Em = any

interface World extends Wired {
  other: TestOrm
}

const GERMAN = { ERROR: 'FEHLER', FATAL: 'FATAL', PANIC: 'PANIK' }
/** What only COMMIT or PREPARE TRANSACTION finds out. */
const DEFERRED = `
  create function refuse() returns trigger language plpgsql as $$ begin
    if new.name = 'bad' then raise exception 'nein' using errcode = '23514'; end if;
    if new.name = 'again' then raise exception 'nochmal' using errcode = '40001'; end if;
    if new.name = 'far' then raise exception 'weg' using errcode = '08006'; end if;
    return null;
  end $$;
  create constraint trigger refusing after insert on author deferrable initially deferred
    for each row execute function refuse()`

const test = suite<World>('a server that speaks German')

test.before(async (world) => {
  Object.assign(world, await openWired({ poolMax: 1 }))
  world.wire.translate(GERMAN)
  world.other = await openOrm(await newDatabase('postgresql'))
  for (const sql of DEFERRED.split(/(?<=\$\$;)/)) await world.look.rows(sql)
})
test.before.each(({ look }) => clearTables(look))
test.after(async ({ other, close }) => {
  await other.close()
  await close()
})

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code

/** The server's process behind the one connection of the pool. */
async function backend({ orm }: World): Promise<unknown> {
  const [row] = await orm.em.fork().execute<{ pid: number }[]>('select pg_backend_pid() as pid')
  return row?.pid
}

/** That `work` gives the one connection of the pool back as it is. */
async function keepsItsConnection(world: World, work: () => Promise<unknown>): Promise<void> {
  const before = await backend(world)
  await work()
  await poolIdle(world.pool)
  assert.is(await backend(world), before)
}

test('the server of these tests speaks German', async ({ orm }) => {
  const error = await rejection(orm.em.fork().execute('select 1 / 0'))
  assert.is((error as Em).severity, 'FEHLER')
})

for (const pipelineCommit of [false, true]) {
  const how = pipelineCommit ? 'a pipelined COMMIT' : 'COMMIT'

  for (const [name, code] of [
    ['bad', '23514'],
    ['again', '40001'],
    ['far', '08006'],
  ]) {
    test(`what ${how} is refused with (${code}) is that error, and its connection goes back`, async (world) => {
      const registry = new EngineRegistry({ writer: { orm: world.orm, pipelineCommit } })
      await keepsItsConnection(world, async () => {
        const error = await rejection(
          registry.run(({ dbSession }) => void (dbSession.writer as Em).create(Author, { name })),
        )
        assert.is(codeOf(error), code, String(error))
        assert.is(isRetryable(error), code === '40001')
      })
      assert.is(await world.look.value('select count(*) from author'), 0)
    })
  }

  test(`a serialization failure at ${how} is tried again`, async (world) => {
    const registry = new EngineRegistry({ writer: { orm: world.orm, pipelineCommit } })
    const names = ['again', 'stored']
    await registry.run(({ dbSession }) => void (dbSession.writer as Em).create(Author, { name: names.shift() }), {
      attempts: 2,
    })
    assert.equal(await world.look.rows('select name from author'), [{ name: 'stored' }])
  })

  test(`a unique violation before ${how} is MikroORM's exception, and its connection goes back`, async (world) => {
    await world.look.rows(`insert into book (title) values ('taken')`)
    const registry = new EngineRegistry({ writer: { orm: world.orm, pipelineCommit } })
    await keepsItsConnection(world, async () => {
      const error = await rejection(
        registry.run(({ dbSession }) => void (dbSession.writer as Em).create(Book, { title: 'taken' })),
      )
      assert.instance(error, UniqueConstraintViolationException)
    })
  })
}

for (const [what, options] of Object.entries({
  'a joined role': {},
  'a role that only reads': { readOnly: true },
  'a snapshot': { readOnly: 'snapshot' },
  'an autonomous role': { commit: 'autonomous' },
})) {
  test(`a statement of ${what} that fails leaves its connection in the pool`, async (world) => {
    const registry = new EngineRegistry<any>({ writer: { orm: world.orm, ...options } })
    await keepsItsConnection(world, async () => {
      const error = await rejection(registry.run(({ dbSession }: Em) => dbSession.writer.execute('select 1 / 0')))
      assert.is(codeOf(error), '22012')
    })
  })
}

test('an error with the code of a lost connection, on one that lives, is the error of its statement', async (world) => {
  const registry = new EngineRegistry({ writer: world.orm })
  await keepsItsConnection(world, () =>
    registry.run(async ({ dbSession }) => {
      const em: Em = dbSession.writer
      for (const code of ['08006', '57P01', '25P03', 'XX000']) {
        const raise = `do $$ begin raise exception 'not this one' using errcode = '${code}'; end $$`
        const error = await rejection(em.transactional((nested: Em) => nested.execute(raise)))
        assert.not.instance(error, ConnectionLostError)
        assert.is(codeOf(error), code)
      }
      await em.insert(Author, { name: 'kept' })
    }),
  )
  assert.is(await world.look.value('select count(*) from author'), 1)
})

test('a PREPARE that is refused is CannotPrepareError, and nothing is stored', async ({ orm, other, look }) => {
  const registry = new EngineRegistry<any>(
    { writer: { orm, default: true, twoPhase: true }, other },
    { recover: false },
  )
  const error = await rejection(
    registry.run(async ({ dbSession }: Em) => {
      await dbSession.writer.execute('create temporary table mine (n int)')
      await dbSession.writer.insert(Author, { name: 'a' })
      await dbSession.other.insert(Author, { name: 'b' })
    }),
  )
  assert.instance(error, CannotPrepareError)
  assert.is(await look.value('select count(*) from author'), 0)
})

test('a server that goes down while COMMIT is under way leaves the outcome unknown', async (world) => {
  await world.look.rows(`create or replace function refuse() returns trigger language plpgsql as $$ begin
    perform pg_terminate_backend(pg_backend_pid()); return null; end $$`)
  const registry = new EngineRegistry({ writer: world.orm })
  const error = await rejection(
    registry.run(({ dbSession }) => void (dbSession.writer as Em).create(Author, { name: 'x' })),
  )
  assert.instance(error, CommitOutcomeUnknownError)
  assert.is(codeOf(error.cause), '57P01')
  await poolIdle(world.pool)
})

test.run()
