/** A server that allows fewer connections than the pools may open is warned of, before somebody is refused. */
import * as assert from 'uvu/assert'
import { ConfigurationError, EngineRegistry } from '../../source/index.ts'
import { newDatabase, openOrm } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'
import { openWire } from '../support/wire.ts'

const test = suite<{ target: string; file: string }>('pools and what their server allows')

test.before(async (world) => {
  world.target = await newDatabase('postgresql')
  world.file = await newDatabase('sqlite')
})

/** What a registry warns of, whose roles have pools of these sizes. */
async function said(target: string, pools: object, processes?: number, via = target): Promise<string[]> {
  const roles = Object.entries(pools).map(async ([role, poolMax]) => [
    role,
    await openOrm(target, { via, poolMax, hasSchema: true }),
  ])
  const registry = new EngineRegistry<any>(Object.fromEntries(await Promise.all(roles)), { recover: false, processes })
  // Which waits for what it asks in the background.
  const heard = await warnings('SQLASSIST_POOLS_TOO_LARGE', () => registry.close())
  return heard.map(({ message }) => message)
}

test('pools that are too large in all processes together are warned of, with all numbers', async ({ target }) => {
  const [message = '', ...others] = await said(target, { writer: 6, reader: 4 }, 100)
  const [row] = await (
    await postgres()
  ).adminQuery<{ allowed: number }>(
    `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as allowed`,
  )
  assert.match(message, /"writer" \(6\), "reader" \(4\) may open 10 connections, and 1000 with 100 processes/)
  assert.ok(message.includes(`their server allows ${row!.allowed}:`), message)
  assert.equal(others, [])
})

test('those of one process are', async ({ target }) => {
  const [message = ''] = await said(target, { writer: 1000 })
  assert.match(message, /"writer" \(1000\) may open 1000 connections, and their server allows/)
})

test('pools that fit are not, nor those behind a pooler, nor files', async ({ target, file }) => {
  assert.equal(await said(target, { writer: 6, reader: 4 }, 3), [])
  const pooler = await openWire(target)
  assert.equal(await said(target, { writer: 1000 }, 1, pooler.url), [])
  await pooler.close()
  assert.equal(await said(file, { writer: 5 }, 1000), [])
})

test('a server with more than enough for few connections is not asked', async ({ target }) => {
  const wire = await openWire(target)
  await said(target, { writer: 10 }, 2, wire.url)
  assert.equal(wire.sql(), [])
  await wire.close()
})

for (const processes of [0, 1.5, '2']) {
  test(`processes: ${JSON.stringify(processes)} is refused`, async ({ file }) => {
    const orm = await openOrm(file)
    assert.throws(
      () => new EngineRegistry({ writer: orm }, { processes: processes as number }),
      (error: unknown) => error instanceof ConfigurationError && /whole number from 1/.test(error.message),
    )
    await orm.close()
  })
}

test.run()
