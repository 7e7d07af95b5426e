/** What a sandbox sends to databases that a test does not touch. */
import * as assert from 'uvu/assert'
import { dbSessions, EngineRegistry } from '../../source/index.ts'
import { createSandbox } from '../../source/testing/index.ts'
import Koa from 'koa'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { suite } from '../support/suite.ts'
import { openWired, type Wired } from '../support/wired.ts'

const test = suite<{ main: Wired; other: Wired }>('what a sandbox sends')

test.before.each(async (world) => {
  world.main = await openWired()
  world.other = await openWired()
})
test.after.each(async ({ main, other }) => {
  await main.close()
  await other.close()
})

async function applicationOver({ main, other }: { main: Wired; other: Wired }) {
  const registry = new EngineRegistry({ writer: main.orm, audit: other.orm }, { recover: false })
  const app = new Koa()
  app.use(dbSessions(registry)).use(async (ctx) => {
    if (ctx.path === '/new') await ctx.dbSession.writer.insert(Author, { name: 'new' })
    ctx.body = ctx.path === '/count' ? String(await ctx.dbSession.writer.count(Author)) : 'nothing'
  })
  const served = await serve(app)
  const sandbox = await createSandbox(registry)
  // Those that were sent before it was made.
  for (const { wire } of [main, other]) wire.reset()
  return {
    sandbox,
    get: async (path: string) => (await served.request('GET', path)).text,
    async close() {
      await sandbox.close()
      await served.close()
    },
  }
}

test('a test that touches no database sends nothing, on any of its levels', async (world) => {
  const { sandbox, get, close } = await applicationOver(world)
  await sandbox.begin()
  await sandbox.begin()
  assert.is(await get('/'), 'nothing')
  await sandbox.rollback()
  await sandbox.rollback()
  await close()
  assert.equal([...world.main.wire.sql(), ...world.other.wire.sql()], [])
})

test('a test that touches no database sends nothing where the one before did', async (world) => {
  const { main } = world
  const { sandbox, get, close } = await applicationOver(world)
  await sandbox.begin()
  await get('/new')
  main.wire.reset()
  await sandbox.begin()
  await get('/')
  await sandbox.rollback()
  assert.equal(main.wire.sql(), [])
  assert.is(await get('/count'), '1')
  await sandbox.rollback()
  await close()
})

test('a test that touches one database sends nothing to the others, once it is known which they are', async (world) => {
  const { sandbox, get, close } = await applicationOver(world)
  const { main, other } = world
  for (const round of ['first', 'second']) {
    other.wire.reset()
    main.wire.reset()
    await sandbox.begin()
    assert.is(await get('/count'), '0')
    await sandbox.rollback()
    assert.match(main.wire.sql().join('\n'), /\bcount\(/, round)
  }
  await close()
  assert.equal(other.wire.sql(), [])
})

/** By the first words of its statements. */
function outlines({ wire }: Wired): string[] {
  return wire.trips().map(({ messages }) =>
    messages
      .join(';')
      .split(';')
      .map((sql) => /^\w+(?: constraints)?/.exec(sql.trim())![0])
      .join(' '),
  )
}

for (const { has, before, check } of [
  { has: 'nothing that COMMIT checks', before: 'select 1', check: [] },
  {
    has: 'constraints that COMMIT checks',
    before: 'alter table author add constraint late unique (name) deferrable initially deferred',
    check: ['set constraints set constraints'],
  },
]) {
  test(`a test that writes and reads goes to a database with ${has} as rarely as it can`, async (world) => {
    const { main } = world
    await main.look.rows(before)
    const { sandbox, get, close } = await applicationOver(world)
    await sandbox.begin()
    await get('/count')
    for (const round of ['first', 'second', 'third']) {
      main.wire.reset()
      await sandbox.begin()
      await get('/new')
      assert.is(await get('/count'), '1')
      await sandbox.rollback()
      if (round === 'first') continue
      assert.equal(
        outlines(main),
        [
          'select savepoint savepoint insert',
          ...check,
          'release savepoint select',
          // The request that only read, and the test.
          'rollback release',
          'rollback release',
        ],
        round,
      )
    }
    await sandbox.rollback()
    await close()
  })
}

test.run()
