/** What is given up is cancelled by the key of its connection, at the address of its connection. */
import dns from 'node:dns'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { CERTIFICATE, openFront } from '../support/front.ts'
import { poolIdle, watchLeaks } from '../support/leaks.ts'
import { openOrm, poolOf, type OrmOptions } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'
import { openWired, type Wired } from '../support/wired.ts'

type Em = any

const ROLES: Readonly<Record<string, Omit<EngineOptions, 'orm'>>> = {
  'a joined role': {},
  'a role that pipelines its commit': { pipelineCommit: true },
  'a read-only role': { readOnly: true },
  'a snapshot role': { readOnly: 'snapshot' },
}
const SLEEP = 'select pg_sleep(300)'

const test = suite<Wired>('a request to cancel')

test.before(async (world) => {
  Object.assign(world, await openWired({ poolMax: 1 }))
})
test.before.each(({ wire }) => wire.reset())
test.after(({ close }) => close())

/** How many backends of this database are in a statement with these words. */
async function running({ look }: Wired, words: string): Promise<number> {
  const at = `select 1 from pg_stat_activity where datname = current_database() and state = 'active' and query like $1`
  return (await look.rows(`${at} and pid <> pg_backend_pid()`, `%${words}%`)).length
}

/** Runs a statement, gives it up while it runs, and returns the error it ended in. */
async function givenUp(world: Wired, registry: EngineRegistry<any>): Promise<Error> {
  const giveUp = new AbortController()
  let thrown: unknown
  const run = registry.run(
    async ({ dbSession }: Em) => {
      thrown = await rejection(dbSession.role.execute(SLEEP))
      throw thrown
    },
    { signal: giveUp.signal },
  )
  const ended = rejection(run)
  await until(async () => (await running(world, 'pg_sleep(300)')) === 1, 'the statement to run')
  giveUp.abort(new Error('given up'))
  await ended
  return thrown as Error
}

for (const [name, options] of Object.entries(ROLES)) {
  test(`of ${name} reaches its statement, and not the backend whose number a pooler has invented`, async (world) => {
    const { wire, target } = world
    const bystander = await secondLook(target)
    const [row] = await bystander.rows('select pg_backend_pid() as pid')
    wire.inventBackends(() => row!['pid'] as number)
    const orm = await openOrm(target, { via: wire.url, hasSchema: true, poolMax: 1 })
    await world.look.rows('select pg_advisory_lock(1)')
    const innocent = bystander.rows('select pg_advisory_xact_lock(1) as innocent')
    const registry = new EngineRegistry({ role: { orm, ...options } })
    const error = await givenUp(world, registry)
    await world.look.rows('select pg_advisory_unlock(1)')
    await innocent
    assert.is((error as { code?: unknown }).code, '57014')
    assert.equal([wire.cancels, wire.sql().some((sql) => sql.includes('cancel'))], [1, false])
    await poolIdle(await poolOf(orm))
    await orm.close()
    await bystander.close()
    wire.inventBackends((real) => real)
  })
}

/** An ORM by way of a front. */
async function throughFront(world: Wired, kind: 'tls' | 'unix', ssl?: object) {
  const front = await openFront(world.wire.url, kind)
  const url = new URL(world.target)
  url.hostname = 'localhost'
  url.port = String(front.port)
  const driverOptions = kind === 'tls' ? { ssl } : { host: front.folder, port: front.port }
  const options: OrmOptions = { via: url.href, hasSchema: true, poolMax: 1, config: { driverOptions } }
  return { front, orm: await openOrm(world.target, options) }
}

for (const [what, kind, ssl] of [
  ['over TLS to a host whose name the certificate has', 'tls', { ca: CERTIFICATE }],
  ['over TLS that trusts each certificate', 'tls', { rejectUnauthorized: false }],
  ['over a Unix socket', 'unix', undefined],
] as const) {
  test(`goes ${what}, as its connection does`, async (world) => {
    const { front, orm } = await throughFront(world, kind, ssl)
    const leaks = watchLeaks()
    const registry = new EngineRegistry({ role: orm })
    const error = await givenUp(world, registry)
    assert.is((error as { code?: unknown }).code, '57014')
    assert.equal([front.count, world.wire.cancels], [2, 1])
    await registry.close()
    await leaks.check()
    await front.close()
  })
}

/** Passes everything on to the server of `target`, and counts its connections. */
async function relay(
  target: string,
  address: string,
  port = 0,
): Promise<{ server: Server; port: number; count: number }> {
  const { hostname, port: targetPort } = new URL(target)
  const result = { server: createServer(), port, count: 0 }
  result.server.on('connection', (client: Socket) => {
    result.count++
    const upstream = connect(Number(targetPort), hostname)
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => result.server.listen(port, address, resolve))
  result.port = (result.server.address() as AddressInfo).port
  return result
}

test('goes to the server of its statement where a name leads to several', async (world) => {
  const one = await relay(world.wire.url, '127.0.0.1')
  const other = await relay(world.wire.url, '127.0.0.2', one.port)
  const { lookup } = dns
  const addresses = ['127.0.0.1', '127.0.0.2']
  // The next look-up finds the other one.
  dns.lookup = ((name: string, options: Em, callback: Em) => {
    if (name !== 'several.test') return (lookup as Em)(name, options, callback)
    const address = addresses.shift() ?? '127.0.0.2'
    callback(null, options.all === true ? [{ address, family: 4 }] : address, 4)
  }) as typeof lookup
  try {
    const url = new URL(world.target)
    url.hostname = 'several.test'
    url.port = String(one.port)
    const orm = await openOrm(world.target, { via: url.href, hasSchema: true, poolMax: 1 })
    const registry = new EngineRegistry({ role: orm })
    assert.is(((await givenUp(world, registry)) as { code?: unknown }).code, '57014')
    assert.equal([one.count, other.count], [2, 0])
    await registry.close()
  } finally {
    dns.lookup = lookup
    for (const { server } of [one, other]) await new Promise((resolve) => server.close(resolve))
  }
})

test('that is not answered in time says so, and its connection is closed and serves nobody else', async (world) => {
  const { wire, target } = world
  const orm = await openOrm(target, { via: wire.url, hasSchema: true, poolMax: 1 })
  const registry = new EngineRegistry({ role: orm })
  const pool = await poolOf(orm)
  const gate = await secondLook(target)
  await gate.rows('select pg_advisory_lock(1)')
  const held = wire.holdCancels()
  const giveUp = new AbortController()
  const seen = await warnings('SQLASSIST_CANCEL_FAILED', async () => {
    const wait = `select pg_advisory_xact_lock(1) as waits`
    const run = rejection(registry.run(({ dbSession }: Em) => dbSession.role.execute(wait), { signal: giveUp.signal }))
    await until(async () => (await running(world, 'as waits')) === 1, 'the statement to wait')
    Object.assign(pool.options, { connectionTimeoutMillis: 50 })
    giveUp.abort(new Error('given up'))
    await held.reached
    await gate.rows('select pg_advisory_unlock(1)')
    await run
  })
  await until(() => pool.totalCount === 0, 'the connection to be closed')
  held.release()
  assert.match(seen[0]!.message, /role "role" could not be cancelled.*no answer in 50 ms/)
  await registry.close()
  await gate.close()
})

test('without a key of the server says so, and the connection is as good as before', async (world) => {
  const { wire, target } = world
  const orm = await openOrm(target, { via: wire.url, hasSchema: true, poolMax: 1 })
  const pool = await poolOf(orm)
  const registry = new EngineRegistry({ role: orm })
  pool.on('acquire', (client) => void Object.assign(client, { processID: null, secretKey: null }))
  const gate = await secondLook(target)
  await gate.rows('select pg_advisory_lock(1)')
  const giveUp = new AbortController()
  const seen = await warnings('SQLASSIST_CANCEL_FAILED', async () => {
    const wait = `select pg_advisory_xact_lock(1) as waits`
    const run = rejection(registry.run(({ dbSession }: Em) => dbSession.role.execute(wait), { signal: giveUp.signal }))
    await until(async () => (await running(world, 'as waits')) === 1, 'the statement to wait')
    giveUp.abort(new Error('given up'))
    await gate.rows('select pg_advisory_unlock(1)')
    await run
  })
  await poolIdle(pool)
  assert.match(seen[0]!.message, /gave its client no key/)
  assert.is(pool.totalCount, 1)
  await registry.close()
  await gate.close()
})

test.run()
