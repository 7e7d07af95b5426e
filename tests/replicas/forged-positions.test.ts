/** A client that makes up a position, or sends anything else in its place, makes nothing wait, and asks the primary once at most. */
import { channel } from 'node:diagnostics_channel'
import Koa from 'koa'
import * as assert from 'uvu/assert'
import { dbSessions, EngineRegistry, type PositionDroppedMessage } from '../../source/index.ts'
import { POSITION } from '../../source/database/postgres/commit-position.ts'
import { seal } from '../../source/koa/seal.ts'
import { Author } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { hear, ormOver, sharedCluster, type Cluster, type Heard, type ReplicaEngines } from '../support/replicas.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  cluster: Cluster
  /** In front of the primary, for the reader. */
  wire: Wire
  registry: EngineRegistry<ReplicaEngines>
  app: Koa
  served: Served
  heard: Heard
  /** How many requests have begun to read. */
  asked: number
}

const test = suite<World>('made-up positions')

test.before(async (world) => {
  world.cluster = await sharedCluster()
  world.wire = await openWire(world.cluster.primary.url)
  const writer = await ormOver({ primary: world.cluster.primary, standbys: [] })
  const orm = await ormOver(world.cluster, { clientUrl: world.wire.url })
  world.registry = new EngineRegistry<ReplicaEngines>({ writer, reader: { orm, readOnly: true, replicaOf: 'writer' } })
  world.app = new Koa()
  world.app.use(dbSessions(world.registry))
  world.asked = 0
  world.app.use(async (ctx: any) => {
    const counting = ctx.dbSession.reader.count(Author)
    world.asked++
    ctx.body = String(await counting)
  })
  world.served = await serve(world.app)
})
test.before.each(async (world) => {
  world.heard = hear()
  await until(async () => {
    world.heard.forget()
    await world.served.request('GET', '/')
    return world.heard.servers.at(-1) !== 'primary'
  }, 'a replica to answer')
  world.heard.forget()
  world.wire.reset()
})
test.after.each((world) => {
  world.heard.stop()
  delete (world.app as { keys?: unknown }).keys
})
test.after(async ({ served, registry, wire }) => {
  await served.close()
  await registry.close()
  await wire.close()
})

/** Sends it in a cookie; returns why it was dropped. */
async function send(world: World, cookie: string): Promise<string[]> {
  const dropped: string[] = []
  const note = (message: unknown): void => void dropped.push((message as PositionDroppedMessage).reason)
  channel('sqlassist:position:dropped').subscribe(note)
  try {
    const { status } = await world.served.request('GET', '/', { headers: { cookie: `sqlassist_position=${cookie}` } })
    assert.is(status, 200)
  } finally {
    channel('sqlassist:position:dropped').unsubscribe(note)
  }
  return dropped
}

/** Questions for the primary beside those of every second. */
function questions({ wire }: World): number {
  return wire.messages().filter(({ text }) => text.includes('pg_current_wal_flush_lsn')).length
}

function assertUnharmed({ heard }: World): void {
  assert.is(heard.fallbacks.length, 0)
  assert.ok(heard.served.every(({ server, waitedMs }) => server !== 'primary' && waitedMs === 0))
}

for (const forged of [
  'writer',
  'writer:',
  'writer:0',
  'writer:0/',
  'writer:0/G',
  'writer:0/123456789',
  'writer:0/1,',
  ',writer:0/1',
  'nobody:0/1',
  'constructor:0/1',
  '__proto__:0/1',
  'writer:-1/0',
  'writer:0x1/0x1',
  'undefined',
  '%00%01',
  `writer:0/1${',writer:0/1'.repeat(50)}`,
  'x'.repeat(6000),
]) {
  test(`${forged.slice(0, 30)} (${forged.length} characters) counts as nothing, and asks nobody`, async (world) => {
    assert.equal(await send(world, forged), ['unreadable'])
    assertUnharmed(world)
    assert.ok(questions(world) <= 1)
  })
}

for (const old of ['writer:0/0', 'writer:0/1', 'reader:0/1']) {
  test(`${old}, which is over, makes nothing wait and asks nobody`, async (world) => {
    assert.equal(await send(world, old), [])
    assertUnharmed(world)
  })
}

test('a position that was never reached counts as nothing, after one question', async (world) => {
  assert.equal(await send(world, 'writer:FFFFFFFF/FFFFFFFF'), ['future'])
  assertUnharmed(world)
  assert.ok(questions(world) <= 2)
  world.heard.forget()
  await world.served.request('GET', '/')
  assertUnharmed(world)
})

test('those that come while the primary is asked share its answer', async (world) => {
  const { served, wire } = world
  const held = wire.hold(/pg_current_wal_flush_lsn/, 'request')
  const { asked } = world
  const sent = Array.from({ length: 50 }, (_, index) =>
    served.request('GET', '/', {
      headers: { cookie: `sqlassist_position=writer:FFFFFF${(index + 16).toString(16).toUpperCase()}/0` },
    }),
  )
  await held.reached
  await until(() => world.asked === asked + 50, 'every request to read')
  held.release()
  for (const { status } of await Promise.all(sent)) assert.is(status, 200)
  assertUnharmed(world)
  assert.ok(questions(world) <= 3, `${questions(world)} questions`)
})

test('a position that came about while the primary was asked is not taken for made up', async (world) => {
  const { cluster, served, wire } = world
  const before = Number((await served.request('GET', '/')).text)
  for (const standby of cluster.standbys) await standby.pause()
  const held = wire.hold(/pg_current_wal_flush_lsn/, 'answer')
  await held.reached
  await cluster.look.rows(`insert into author (name) values ('of another process')`)
  const [row] = await cluster.look.rows(POSITION)
  const cookie = `sqlassist_position=writer:${String(row?.['position'])}`
  const { asked } = world
  const sent = served.request('GET', '/', { headers: { cookie } })
  await until(() => world.asked > asked, 'the request to read')
  held.release()
  assert.is(Number((await sent).text), before + 1)
  await cluster.level()
})

test('with keys, what was not sealed by them counts as nothing', async (world) => {
  world.app.keys = ['one']
  const sealed = seal(world, 'writer:0/1')
  assert.equal(await send(world, sealed), [])
  const flipped = sealed.slice(0, -1) + (sealed.endsWith('A') ? 'B' : 'A')
  for (const text of ['writer:0/1', sealed.slice(1), flipped.slice(0, 20), `${sealed}${sealed}`]) {
    assert.equal(await send(world, text), ['unreadable'])
  }
  world.app.keys = ['other']
  assert.equal(await send(world, sealed), ['unreadable'])
  assertUnharmed(world)
})

test('a position of the history that a failover has lost counts as nothing, and the next one holds', async (world) => {
  // It was there, as far as the client knows: beyond what the primary has.
  const beyond = await world.cluster.look.value(`select (pg_current_wal_insert_lsn() + 1000000)::text`)
  assert.equal(await send(world, `writer:${String(beyond)}`), ['future'])
  const there = await world.cluster.look.value(`select pg_current_wal_flush_lsn()::text`)
  assert.equal(await send(world, `writer:${String(there)}`), [])
})

test.run()
