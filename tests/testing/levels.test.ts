/** Levels of a sandbox that begin and end while something is under way that nobody has awaited. */
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { createSandbox, SandboxLeakError, SandboxNotBegunError, type Sandbox } from '../../source/testing/index.ts'
import { Author } from '../support/entities.ts'
import type { TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWired, type Wired } from '../support/wired.ts'

interface World {
  main: Wired
  other: Wired
  registry: EngineRegistry<{ writer: TestOrm; audit: TestOrm }>
  sandbox: Sandbox
}

const test = suite<World>('levels of a sandbox')

test.before.each(async (world) => {
  world.main = await openWired()
  world.other = await openWired()
  world.registry = new EngineRegistry({ writer: world.main.orm, audit: world.other.orm }, { recover: false })
  world.sandbox = await createSandbox(world.registry, { waitMs: 500, sequences: 'restore' })
  await world.sandbox.begin()
})
test.after.each(async ({ registry, sandbox, main, other }) => {
  await sandbox.close()
  await registry.close()
  await main.close()
  await other.close()
})

const add = ({ registry }: World, role: 'writer' | 'audit', name: string) =>
  registry.run(({ dbSession }) => dbSession[role].insert(Author, { name }))
const names = ({ registry }: World, role: 'writer' | 'audit') =>
  registry.run(async ({ dbSession }) => (await dbSession[role].find(Author, {})).map(({ name }) => name))

test('a transaction waits for a level that begins, and is of that', async (world) => {
  const { registry, sandbox, main } = world
  await add(world, 'writer', 'fixture')
  await add(world, 'audit', 'fixture')
  const held = main.wire.hold(/pg_sequences/, 'answer')
  const beginning = sandbox.begin()
  await held.reached
  const em = registry.session('audit')
  const inserting = em.insert(Author, { name: 'of the test' }).then(() => em.commit())
  held.release()
  await beginning
  await inserting
  await em.close()
  await sandbox.rollback()
  assert.equal(await names(world, 'audit'), ['fixture'])
  await sandbox.rollback()
})

test('a connection that is being opened as its test is rolled back ends with that', async (world) => {
  const { registry, sandbox, main } = world
  await add(world, 'audit', 'counted')
  const held = main.wire.hold(/pg_settings/, 'answer')
  const running = rejection(
    registry.run(({ dbSession }) => dbSession.writer.insert(Author, { name: 'leaked' }), { name: 'leaked' }),
  )
  await held.reached
  const rolling = rejection(sandbox.rollback())
  await until(() => sandbox.report().frames === 0)
  held.release()
  assert.instance(await rolling, SandboxLeakError)
  const late = await running
  assert.instance(late.cause ?? late, SandboxNotBegunError, String(late))
  const open = `select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'`
  await until(async () => (await main.look.value(open)) === 0)
  await sandbox.begin()
  await add(world, 'writer', 'next')
  assert.equal(await names(world, 'writer'), ['next'])
  await sandbox.rollback()
})

test('what waited for its turn as its test was rolled back keeps it from nobody', async (world) => {
  const { registry, sandbox } = world
  const [first, second] = [registry.session('writer'), registry.session('writer')]
  await first.insert(Author, { name: 'open' })
  const waiting = rejection(second.insert(Author, { name: 'waits' }))
  await until(() => sandbox.report().waits === 1)
  assert.instance(await rejection(sandbox.rollback()), SandboxLeakError)
  const refused = await waiting
  assert.instance(refused.cause ?? refused, SandboxNotBegunError, String(refused))
  await first.close()
  await second.close()
  await sandbox.begin()
  await add(world, 'writer', 'next')
  await sandbox.rollback()
})

test('what waited for its turn opens a connection for the level that is left, which may end meanwhile', async (world) => {
  const { registry, sandbox, main } = world
  await sandbox.begin()
  const [first, second] = [registry.session('writer'), registry.session('writer')]
  await first.insert(Author, { name: 'open' })
  const waiting = rejection(second.insert(Author, { name: 'waits' }))
  await until(() => sandbox.report().waits === 1)
  let asked = 0
  // The first one sets the sequences back, the second one opens the connection.
  const held = main.wire.hold(({ text }) => text.includes('pg_sequences') && ++asked === 2, 'answer')
  assert.instance(await rejection(sandbox.rollback()), SandboxLeakError)
  await held.reached
  assert.is(sandbox.report().frames, 1)
  const rolling = sandbox.rollback()
  await until(() => sandbox.report().frames === 0)
  held.release()
  await rolling
  const refused = await waiting
  assert.instance(refused.cause ?? refused, SandboxNotBegunError, String(refused))
  await first.close()
  await second.close()
})

const FAILS: Readonly<Record<string, string>> = {
  'a statement that the database refuses': 'insert into missing values (1)',
  'a statement that it does not understand': 'this is no SQL',
}
for (const isInner of [false, true]) {
  for (const [what, sql] of Object.entries(FAILS)) {
    for (const isFirst of [false, true]) {
      const where = `${isFirst ? 'first of' : 'behind others of'} a run that is open, ${isInner ? 'inside of' : 'in'} a level`
      test(`sequences go back behind ${what}, ${where}`, async (world) => {
        const { registry, sandbox } = world
        const id = () =>
          registry.run(async ({ dbSession: { writer } }) => {
            const author = writer.create(Author, { name: 'numbered' })
            await writer.flush()
            return author.id
          })
        if (isInner) {
          await id()
          await sandbox.begin()
        }
        const first = await id()
        const failed = Promise.withResolvers<void>()
        const goOn = Promise.withResolvers<void>()
        const leaked = registry.run(async ({ dbSession: { writer } }) => {
          if (!isFirst) await writer.insert(Author, { name: 'leaked' })
          await rejection(writer.execute(sql))
          failed.resolve()
          await goOn.promise
        })
        await failed.promise
        assert.instance(await rejection(sandbox.rollback()), SandboxLeakError)
        goOn.resolve()
        await Promise.allSettled([leaked])
        await sandbox.begin()
        assert.is(await id(), first)
        await sandbox.rollback()
        if (isInner) await sandbox.rollback()
      })
    }
  }
}

test.run()
