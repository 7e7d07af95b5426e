/** A client that goes away ends every wait for a replica, and the replica is none the worse for it. */
import type { SqlEntityManager } from '@mikro-orm/sql'
import type pg from 'pg'
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { replicasOf } from '../../source/database/connections-of.ts'
import { Author } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { rejection } from '../support/rejection.ts'
import { hear, ormOver, sharedCluster, type Cluster, type Heard, type ReplicaEngines } from '../support/replicas.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

interface World {
  cluster: Cluster
  heard: Heard
  registry: EngineRegistry<ReplicaEngines>
  /** Of the only replica, for one client. */
  pool: pg.Pool
}

const test = suite<World>('clients that go away')

test.before.each(async (world) => {
  world.cluster = await sharedCluster()
  world.heard = hear()
})
test.after.each(async ({ cluster, heard, registry, pool }) => {
  heard.stop()
  await poolIdle(pool)
  await registry.close()
  await cluster.level()
})

async function over(world: World, options: Partial<EngineOptions>): Promise<void> {
  const { cluster, heard } = world
  const [standby] = cluster.standbys
  const writer = await ormOver({ primary: cluster.primary, standbys: [] })
  const orm = await ormOver({ primary: cluster.primary, standbys: [standby!] }, { pool: { min: 0, max: 1 } })
  world.registry = new EngineRegistry<ReplicaEngines>({
    writer,
    reader: { orm, replicaOf: { role: 'writer', waitMs: 60_000 }, ...options },
  })
  await world.registry.run(async ({ dbSession }) => void (await dbSession.reader.count(Author)))
  world.pool = (await replicasOf(orm.driver)[0]!.getNativeClient()) as pg.Pool
  assert.equal(heard.servers, [standby!.name])
}

const count = async (reader: SqlEntityManager): Promise<void> => void (await reader.count(Author))
const stream = async (reader: SqlEntityManager): Promise<void> => {
  for await (const _row of reader.stream(Author, {})) break
}

for (const { name, readOnly, work } of [
  { name: 'a statement', readOnly: true, work: count },
  { name: 'a stream', readOnly: true, work: stream },
  { name: 'a snapshot', readOnly: 'snapshot', work: count },
] as const) {
  test(`the wait of ${name} for a replica ends`, async (world) => {
    const { cluster, heard } = world
    await over(world, { readOnly })
    await cluster.standbys[0]!.pause()
    const controller = new AbortController()
    const run = world.registry.run(
      async ({ dbSession, tm, txn }) => {
        dbSession.writer.create(Author, { name: 'own' })
        await txn.commit()
        await tm.begin()
        const reading = work(dbSession.reader)
        setImmediate(() => controller.abort(new Error('gone')))
        await reading
      },
      { signal: controller.signal },
    )
    assert.is((await rejection(run)).message, 'gone')
    assert.equal(heard.fallbacks, [])
  })

  test(`the wait of ${name} for a connection ends, and the replica stays in use`, async (world) => {
    await over(world, { readOnly })
    const { heard, pool } = world
    const only = await pool.connect()
    let closed = 0
    pool.on('remove', () => closed++)
    try {
      const controller = new AbortController()
      const run = world.registry.run(({ dbSession }) => work(dbSession.reader), { signal: controller.signal })
      await until(() => pool.waitingCount === 1, 'it to wait for the connection')
      controller.abort(new Error('gone'))
      assert.is((await rejection(run)).message, 'gone')
    } finally {
      only.release()
    }
    assert.equal([heard.states, heard.fallbacks], [[], []])
    await world.registry.run(async ({ dbSession }) => void (await dbSession.reader.count(Author)))
    assert.is(heard.servers.at(-1), world.cluster.standbys[0]!.name)
    assert.is(closed, 0)
  })
}

test.run()
