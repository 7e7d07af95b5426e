/** What registry.run() and registry.recover() may be given, and what comes of it. */
import * as assert from 'uvu/assert'
import { ConfigurationError, EngineRegistry, requestOf, sessionOf } from '../../source/index.ts'
import { suiteOfTwo, type TwoDatabases } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Context = any

for (const dialect of DIALECTS) {
  const test = suiteOfTwo(`options of a run on ${dialect}`, dialect)

  const registryOf = ({ a, b }: TwoDatabases, disableTransaction = false) =>
    new EngineRegistry(
      { reader: { orm: a.orm, readOnly: true }, writer: { orm: b.orm, default: true } },
      { disableTransaction },
    )

  for (const disabled of [false, true]) {
    test(`the owner is the session's, its entities' and every attempt's, with disableTransaction: ${disabled}`, async (world) => {
      const job = { name: 'a job' }
      const owners: unknown[] = []
      await registryOf(world, disabled).run(
        async ({ dbSession: { reader, writer } }: Context) => {
          const author = writer.create(Author, { name: 'x' })
          await writer.flush()
          owners.push(requestOf(writer), requestOf(reader), requestOf(author))
          assert.is(sessionOf(author), writer)
          if (owners.length === 3) throw Object.assign(new Error('again'), { code: '40001' })
        },
        { owner: job, attempts: 2 },
      )
      assert.equal([owners.length, new Set(owners).size, owners[0]], [6, 1, job])
    })
  }

  test('without an owner requestOf() gives undefined', async (world) => {
    await registryOf(world).run(({ dbSession }) => assert.is(requestOf(dbSession.writer), undefined))
  })

  test('what .any gives is by preference, and by that of the run', async (world) => {
    const registry = registryOf(world)
    const preference = ['writer', 'reader']
    await registry.run(({ dbSession }) => assert.is(dbSession.any, dbSession.reader))
    await registry.run(
      ({ dbSession }) => {
        preference.length = 0
        assert.is(dbSession.any, dbSession.writer)
        assert.is(dbSession.getAny(), dbSession.writer)
      },
      { anyPreference: preference },
    )
    await registry.run(
      ({ dbSession }) => {
        assert.ok(dbSession.reader)
        assert.is(dbSession.any, dbSession.reader)
      },
      { anyPreference: ['writer', 'reader'] },
    )
  })

  const REFUSED: readonly [options: unknown, message: RegExp][] = [
    [{ attempt: 3 }, /run\(\) has no option "attempt".*attempts, name, owner, anyPreference, after, signal/],
    [{ attempts: 3, retries: 2 }, /run\(\) has no option "retries"/],
    [null, /run\(\) was given null in place of options/],
    ['a name', /run\(\) was given a string in place of options/],
    [{ attempts: 0 }, /attempts is 0/],
    [{ name: 7 }, /name is a number/],
    [{ signal: true }, /signal is no AbortSignal/],
    [{ anyPreference: 'writer' }, /anyPreference is no list of roles.*"reader", "writer"/],
    [{ anyPreference: [] }, /anyPreference is empty/],
    [{ anyPreference: ['writer', 'nobody'] }, /anyPreference names "nobody", which is no role/],
  ]
  for (const [options, message] of REFUSED) {
    test(`a run with ${JSON.stringify(options)} is refused before its work is called`, async (world) => {
      let called = false
      const error = await rejection(registryOf(world).run(() => void (called = true), options as never))
      assert.instance(error, ConfigurationError)
      assert.match(error.message, message)
      assert.is(called, false)
    })
  }

  test('an undefined option is as good as none', async (world) => {
    const nothing = {
      attempts: undefined,
      name: undefined,
      owner: undefined,
      anyPreference: undefined,
      signal: undefined,
    }
    assert.is(await registryOf(world).run(() => 'ran', nothing), 'ran')
    assert.ok(await registryOf(world).recover({ graceMs: undefined }))
  })

  test('recover() refuses an option that it does not know', async (world) => {
    const registry = registryOf(world)
    for (const [options, message] of [
      [{ grace: 1 }, /recover\(\) has no option "grace". The options are graceMs/],
      [1000, /recover\(\) was given a number in place of options/],
      [{ graceMs: -1 }, /graceMs is -1/],
    ] as const) {
      const error = await rejection(registry.recover(options as never))
      assert.instance(error, ConfigurationError)
      assert.match(error.message, message)
    }
  })

  test.run()
}
