/** What watches the servers ends with its registry, and opens no ORM that was closed. */
import type { MikroORM } from '@mikro-orm/postgresql'
import type pg from 'pg'
import * as assert from 'uvu/assert'
import { EngineRegistry, RegistryCloseTimeoutError } from '../../source/index.ts'
import { replicasOf } from '../../source/database/connections-of.ts'
import { isConnected } from '../../source/role/connecting.ts'
import { Author } from '../support/entities.ts'
import { rejection } from '../support/rejection.ts'
import { hear, ormOver, sharedCluster, type ReplicaEngines } from '../support/replicas.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  /** In front of the primary, for the reader. */
  wire: Wire
  orm: MikroORM
  writer: MikroORM
  registry: EngineRegistry<ReplicaEngines>
}

const test = suite<World>('the end of a registry with replicas')

test.before.each(async (world) => {
  const cluster = await sharedCluster()
  world.wire = await openWire(cluster.primary.url)
  world.orm = await ormOver(cluster, { clientUrl: world.wire.url })
  world.writer = await ormOver({ primary: cluster.primary, standbys: [] })
})
test.after.each(async ({ registry, wire }) => {
  await registry.close().catch(() => undefined)
  await wire.close()
})

function newRegistry(world: World, closeTimeoutMs?: number): EngineRegistry<ReplicaEngines> {
  const { writer, orm } = world
  const engines = { writer, reader: { orm, readOnly: true, replicaOf: 'writer' } } as const
  return (world.registry = new EngineRegistry<ReplicaEngines>(engines, { closeTimeoutMs }))
}

function connected({ driver }: MikroORM): boolean[] {
  return [driver.getConnection('write'), ...replicasOf(driver)].map(isConnected)
}

test('a first read that asks the primary meanwhile begins no watch', async (world) => {
  const { wire, orm } = world
  const registry = newRegistry(world, 1)
  const held = wire.hold(/pg_current_wal_flush_lsn/, 'answer')
  const controller = new AbortController()
  const { signal } = controller
  const reading = rejection(registry.run(({ dbSession }) => dbSession.reader.count(Author), { signal }))
  await held.reached
  assert.instance(await rejection(registry.close()), RegistryCloseTimeoutError)
  controller.abort(new Error('gone'))
  held.release()
  assert.is((await reading).message, 'gone')
  // The first probe of each replica would be sent by now: timers of the same length end in their order.
  await new Promise((resolve) => void setTimeout(resolve, 1))
  await until(() => wire.connections === 0, 'the connections to be closed')
  assert.equal(connected(orm), [false, false, false])
})

test('a read that ends before the pools do leaves no connection behind', async (world) => {
  const { wire, orm } = world
  const registry = newRegistry(world)
  const em = registry.session('reader')
  await em.count(Author)
  const pool = (await replicasOf(orm.driver)[0]!.getNativeClient()) as pg.Pool
  const client = await pool.connect()
  const open = wire.connections
  const closing = registry.close()
  await until(() => wire.connections === open - 1, 'the watch to end')
  await em.count(Author)
  assert.is(wire.connections, open)
  client.release()
  await closing
  await until(() => wire.connections === 0, 'the watch to end once more')
  assert.equal(connected(orm), [false, false, false])
})

test('ORMs that were closed with a registry lead to their replicas in the next one', async (world) => {
  const heard = hear()
  const { standbys } = await sharedCluster()
  for (let registries = 0; registries < 2; registries++) {
    const registry = newRegistry(world)
    heard.forget()
    for (let reads = 0; reads < 10; reads++) await registry.run(({ dbSession }) => dbSession.reader.count(Author))
    const expected = new Set(['primary', ...standbys.map(({ name }) => name)])
    assert.equal(
      heard.servers.filter((server) => !expected.has(server)),
      [],
    )
    assert.ok(heard.servers.some((server) => server !== 'primary'))
    await registry.close()
  }
  heard.stop()
})

test.run()
