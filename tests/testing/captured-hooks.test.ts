/** Which hooks `sandbox.captureHooks()` holds. */
import * as assert from 'uvu/assert'
import { channel } from 'node:diagnostics_channel'
import { EngineRegistry } from '../../source/index.ts'
import { createSandbox, type CapturedHook, type Sandbox } from '../../source/testing/index.ts'
import { Book } from '../support/entities.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

interface World {
  registry: EngineRegistry<{ writer: TestOrm }>
  sandbox: Sandbox
  ran: string[]
}

const test = suite<World>('captured hooks')

test.before.each(async (world) => {
  world.registry = new EngineRegistry({ writer: await openOrm(await newDatabase('sqlite')) })
  world.sandbox = await createSandbox(world.registry)
  world.ran = []
  await world.sandbox.begin()
})
test.after.each(async ({ registry, sandbox }) => {
  await sandbox.close()
  await registry.close()
})

const titles = (hooks: readonly CapturedHook[]): unknown[] => hooks.map(({ args }) => args[0])

test('those of a transaction that began before are held, where it commits meanwhile', async ({
  registry,
  sandbox,
  ran,
}) => {
  let captured: readonly CapturedHook[] = []
  await registry.run(async ({ txn, tm }) => {
    txn.addAfterCommitHook((_, title) => void ran.push(title), 'early')
    captured = await sandbox.captureHooks(() => tm.commit())
    await tm.begin()
    tm.get().addAfterCommitHook((_, title) => void ran.push(title), 'later')
  })
  assert.equal(titles(captured), ['early'])
  assert.equal(ran, ['later'])
})

test('of captures inside of one another the innermost of that kind has them', async ({ registry, sandbox, ran }) => {
  const work = (title: string) =>
    registry.run(({ txn }) => {
      txn.addBeforeCommitHook((of: string) => void ran.push(of), `before ${title}`)
      txn.addAfterCommitHook((_, of) => void ran.push(of), title)
    })
  const inner: unknown[] = []
  const outer = await sandbox.captureHooks(
    async () => {
      await work('outer')
      inner.push(...titles(await sandbox.captureHooks(() => work('inner'))))
      await work('outer again')
    },
    { kinds: ['afterCommit', 'beforeCommit'] },
  )
  assert.equal(inner, ['inner'])
  assert.equal(titles(outer), ['before outer', 'outer', 'before inner', 'before outer again', 'outer again'])
  await work('behind')
  assert.equal(ran, ['before behind', 'behind'])
})

test('those of a commit that failed run, and those of another registry', async ({ registry, sandbox, ran }) => {
  const other = new EngineRegistry({ writer: await openOrm(await newDatabase('sqlite')) })
  const captured = await sandbox.captureHooks(async () => {
    await other.run(({ txn }) => txn.addAfterCommitHook((committed) => void ran.push(`other ${committed}`)))
    const failing = registry.run(({ txn, dbSession }) => {
      txn.addAfterCommitHook((committed) => void ran.push(`failing ${committed}`))
      dbSession.writer.create(Book, { title: 'same' })
      dbSession.writer.create(Book, { title: 'same' })
    })
    await rejection(failing)
  })
  assert.equal(titles(captured), [])
  assert.equal(ran, ['other true', 'failing false'])
  await other.close()
})

test('a sandbox that is closed hears of no hooks any more', async ({ sandbox }) => {
  const channels = ['unit:start', 'transaction:begin', 'transaction:hooks'].map((name) => channel(`sqlassist:${name}`))
  assert.equal(
    channels.map(({ hasSubscribers }) => hasSubscribers),
    [true, true, true],
  )
  await sandbox.close()
  assert.equal(
    channels.map(({ hasSubscribers }) => hasSubscribers),
    [false, false, false],
  )
})

test.run()
