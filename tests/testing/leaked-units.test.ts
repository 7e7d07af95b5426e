/** Requests and runs that nobody has awaited in their test. */
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { createSandbox, SandboxLeakError, type Sandbox } from '../../source/testing/index.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

interface World {
  registry: EngineRegistry<{ writer: TestOrm }>
  sandbox: Sandbox
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`leaked requests and runs, ${dialect}`)

  test.before.each(async (world) => {
    world.registry = new EngineRegistry({ writer: await openOrm(await newDatabase(dialect)) })
    world.sandbox = await createSandbox(world.registry, { waitMs: 500 })
    await world.sandbox.begin()
  })
  test.after.each(async ({ registry, sandbox }) => {
    await sandbox.close()
    await registry.close()
  })

  const names = ({ registry }: World) =>
    registry.run(async ({ dbSession }) => (await dbSession.writer.find(Author, {})).map(({ name }) => name))

  test('one that sends its first statement in the next test is refused there, and its own test fails', async (world) => {
    const { registry, sandbox } = world
    const go = Promise.withResolvers<void>()
    const add = (name: string) =>
      registry.run(({ dbSession }) => dbSession.writer.insert(Author, { name }), { name: `adds ${name}` })
    const errors: Error[] = []
    const leaked = registry.run(
      async ({ dbSession }) => {
        await go.promise
        const em = registry.session('writer')
        for (const work of [() => add('inside'), () => em.insert(Author, { name: 'session' })])
          errors.push(await rejection(work()))
        await em.close()
        await dbSession.writer.insert(Author, { name: 'own' })
      },
      { name: 'leaked' },
    )
    leaked.catch(() => undefined)
    assert.match((await rejection(sandbox.rollback())).message, /^a request or run was still open 500 ms after/)
    await sandbox.begin()
    go.resolve()
    errors.push(await rejection(leaked))
    assert.is(errors.length, 3)
    for (const error of errors) {
      const leak = error instanceof SandboxLeakError ? error : error.cause
      assert.instance(leak, SandboxLeakError, String(error))
      assert.match((leak as Error).message, /^the run "leaked" was still open/)
    }
    await add('next')
    assert.equal(await names(world), ['next'])
    await sandbox.rollback()
  })

  test('a session that is open between two tests, and has nothing under way, is of both', async (world) => {
    const { registry, sandbox } = world
    const em = registry.session('writer')
    await em.insert(Author, { name: 'first' })
    await em.commit()
    await sandbox.rollback()
    await sandbox.begin()
    await em.insert(Author, { name: 'second' })
    await em.commit()
    await em.close()
    assert.equal(await names(world), ['second'])
    await sandbox.rollback()
  })

  test.run()
}
