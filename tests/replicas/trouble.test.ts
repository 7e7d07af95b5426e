/** The trouble of a replica costs time, and neither an error nor an old state. */
import { connect, createServer, type AddressInfo } from 'node:net'
import type pg from 'pg'
import * as assert from 'uvu/assert'
import { EngineRegistry, NoReplicaError, ReplicaLostError, type EngineOptions } from '../../source/index.ts'
import { replicasOf } from '../../source/database/connections-of.ts'
import { laterOf, parsePosition } from '../../source/database/wal-position.ts'
import { Author } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { poolOf } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import {
  hear,
  ormOver,
  readerAndWriterOf,
  sharedCluster,
  startCluster,
  type Cluster,
  type Heard,
  type ReplicaEngines,
} from '../support/replicas.ts'
import { secondLook } from '../support/second-look.ts'
import type { Standby } from '../support/standby.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  heard: Heard
  registry: EngineRegistry<ReplicaEngines>
  /** Undefined where it is the shared one. */
  own: Cluster | undefined
}

const test = suite<World>('the trouble of a replica')

test.before.each((world) => {
  world.heard = hear()
})
test.after.each(async (world) => {
  world.heard.stop()
  await world.registry.close()
  await world.own?.close()
  world.own = undefined
})

async function over(world: World, cluster: Cluster, options: Partial<EngineOptions> = {}): Promise<void> {
  world.registry = new EngineRegistry<ReplicaEngines>(await readerAndWriterOf(cluster, options))
}

async function newCluster(world: World, count: number, ofStandbys?: Record<string, string>): Promise<Cluster> {
  return (world.own = await startCluster(count, {}, ofStandbys))
}

/** An application over a new primary and a replica, which has answered. */
async function overOne(
  world: World,
  options?: Partial<EngineOptions>,
  ofStandby?: Record<string, string>,
): Promise<Cluster & { readonly standby: Standby }> {
  const cluster = await newCluster(world, 1, ofStandby)
  await over(world, cluster, options)
  await whichAnswers(world)
  return { ...cluster, standby: cluster.standbys[0]! }
}

/** The value of `sql` in a unit of work of its own. */
async function read({ registry }: World, sql = 'select count(*)::int as value from author'): Promise<unknown> {
  return await registry.run(async ({ dbSession }) => {
    const [row] = await dbSession.reader.execute<[{ value: unknown }]>(sql)
    return row?.value
  })
}

function stateOf({ heard }: World, name: string): string | undefined {
  return heard.states.findLast(({ replica }) => replica === name)?.state
}

/** The replica that answers, once one does. */
async function whichAnswers(world: World): Promise<string> {
  let server = 'primary'
  await until(async () => {
    world.heard.forget()
    await read(world)
    server = world.heard.servers.at(-1) ?? server
    return server !== 'primary'
  }, 'a replica to answer')
  return server
}

/** Removes rows that a snapshot on a replica may see. */
async function makeConflict({ look }: Cluster): Promise<void> {
  await look.rows(`insert into author (name) select 'gone' from generate_series(1, 100)`)
  await look.rows(`delete from author where name = 'gone'`)
  await look.rows('vacuum author')
}

test('one that has crashed and replays its past shows nothing of it', async (world) => {
  const cluster = await newCluster(world, 1, { bgwriter_lru_maxpages: '0', max_wal_size: '4GB' })
  const [standby] = cluster.standbys
  await cluster.look.rows('create table far (id int, value int)')
  await cluster.look.rows('insert into far select n, 0 from generate_series(1, 20000) n')
  await over(world, cluster)
  for (let value = 1; value <= 12; value++) await cluster.look.rows(`update far set value = ${value}`)
  // In its past it does not know this one.
  await cluster.look.rows('create table late as select 12 as value')
  await standby!.caughtUp()
  const look = 'select least(late.value, min(far.value)) as value from far, late group by late.value'
  assert.is(await read(world, look), 12)
  await whichAnswers(world)
  await standby!.kill()
  await standby!.start()
  world.heard.forget()
  await until(async () => {
    assert.is(await read(world, look), 12)
    return world.heard.servers.at(-1) === standby!.name
  }, 'it to be used again')
})

test('one whose replay is paused falls out when the primary has gone on for maxLagMs, and comes back', async (world) => {
  const cluster = await sharedCluster()
  await over(world, cluster, { replicaOf: { role: 'writer', maxLagMs: 1000 } })
  const [first, second] = cluster.standbys
  await whichAnswers(world)
  await first!.pause()
  const seen = await warnings('SQLASSIST_REPLICA', async () => {
    await until(async () => {
      await cluster.look.rows(`insert into author (name) values ('on')`)
      await read(world)
      return stateOf(world, first!.name) === 'lagging'
    }, 'it to lag')
  })
  // The other one may lag too, for as long as the machine is busy.
  const { message } = seen.find((warning) => warning.message.includes(first!.name))!
  assert.match(message, new RegExp(`${first!.name} of role "reader" is lagging and not used: .* ms behind`))
  const { registry } = world
  const { roles } = await registry.inspect()
  const [report] = roles.find(({ replicas }) => replicas.length > 0)?.replicas ?? []
  assert.is(report?.state, 'lagging')
  assert.ok((report?.lagMs ?? 0) >= 1000)
  world.heard.forget()
  await until(async () => {
    await read(world)
    return world.heard.servers.includes(second!.name)
  }, 'the other one to answer')
  assert.not.ok(world.heard.servers.includes(first!.name))
  await first!.resume()
  await until(async () => {
    await read(world)
    return stateOf(world, first!.name) === 'up'
  }, 'it to come back')
})

for (const readOnly of [true, 'snapshot'] as const) {
  test(`the answer to a long statement says nothing of where the replica is by then, with readOnly: ${readOnly}`, async (world) => {
    const { primary, look, standby } = await overOne(world, {
      readOnly,
      replicaOf: { role: 'writer', maxLagMs: 1000 },
    })
    const reported = async () => {
      const { roles } = await world.registry.inspect()
      return parsePosition(roles.flatMap(({ replicas }) => replicas)[0]?.position) ?? 0n
    }
    const other = await secondLook(primary.url)
    const goOn = () => other.rows(`insert into author (name) values ('on')`)
    await look.rows('create table held (value int)')
    await look.rows('begin')
    await look.rows('lock held')
    // The lock is taken on replicas as well, with the next commit.
    await goOn()
    await standby.caughtUp()
    let isOver = false
    const reading = read(world, 'select count(*)::int as value from held').finally(() => (isOver = true))
    const positions = new Set<bigint>()
    await until(async () => {
      await goOn()
      positions.add(await reported())
      return positions.size > 4
    }, 'several probes')
    assert.not.ok(isOver)
    await look.rows('commit')
    await other.close()
    await reading
    assert.equal(world.heard.servers.slice(-1), [standby.name])
    assert.equal(world.heard.states, [])
    const newest = [...positions].reduce(laterOf)
    assert.ok((await reported()) >= newest, 'it has gone back')
  })
}

for (const readOnly of [true, 'snapshot'] as const) {
  test(`a statement that the replay cancels is answered elsewhere, with readOnly: ${String(readOnly)}`, async (world) => {
    const cluster = await newCluster(world, 2, { max_standby_streaming_delay: '100ms' })
    await over(world, cluster, { readOnly })
    await cluster.look.rows(`insert into author (name) select 'a' from generate_series(1, 1000)`)
    await cluster.level()
    await whichAnswers(world)
    world.heard.forget()
    // Longer than the replay waits, and only on a replica.
    const slow = `select count(*)::int as value, case when pg_is_in_recovery() then pg_sleep(5) end from author`
    const reading = read(world, slow)
    await until(async () => {
      await makeConflict(cluster)
      return world.heard.fallbacks.length > 0
    }, 'the replay to cancel it on both')
    assert.ok(Number(await reading) > 0)
    assert.is(world.heard.fallbacks[0]?.reason, 'conflict')
    assert.equal(world.heard.states, [])
  })
}

test('a snapshot that the replay breaks off is lost, and the run is done again', async (world) => {
  const cluster = await overOne(world, { readOnly: 'snapshot' }, { max_standby_streaming_delay: '100ms' })
  await cluster.look.rows(`insert into author (name) select 'a' from generate_series(1, 1000)`)
  await cluster.level()
  const errors: unknown[] = []
  const attempts = async (): Promise<number> => {
    let attempt = 0
    await world.registry.run(
      async ({ dbSession }) => {
        await dbSession.reader.count(Author)
        if (++attempt === 1)
          await until(async () => {
            await makeConflict(cluster)
            try {
              await dbSession.reader.count(Author)
              return false
            } catch (error) {
              errors.push(error)
              throw error
            }
          }, 'the snapshot to be lost')
      },
      { attempts: 3 },
    )
    return attempt
  }
  assert.is(await attempts(), 2)
  assert.instance(errors[0], ReplicaLostError)
})

test('one that stands still is found out, and the read answered elsewhere', async (world) => {
  const { standby } = await overOne(world)
  standby.freeze()
  world.heard.forget()
  assert.is(await read(world), 0)
  assert.equal(world.heard.servers, ['primary'])
  assert.is(stateOf(world, standby.name), 'down')
  standby.thaw()
  await whichAnswers(world)
})

test('those who wait for a connection to one that stands still are let go', async (world) => {
  const { standby } = await overOne(world)
  standby.freeze()
  const reads = await Promise.all(Array.from({ length: 20 }, () => read(world)))
  assert.equal(new Set(reads), new Set([0]))
  standby.thaw()
})

test('one that was promoted is foreign, and its state is not shown', async (world) => {
  const { standby } = await overOne(world)
  await standby.promote()
  await standby.query(`insert into author (name) values ('of another history')`)
  world.heard.forget()
  assert.is(await read(world), 0)
  assert.equal(world.heard.servers, ['primary'])
  assert.is(stateOf(world, standby.name), 'foreign')
})

test('where all are down, reads go over the pool of the reader, and writes go on', async (world) => {
  const cluster = await newCluster(world, 1)
  const [standby] = cluster.standbys
  await cluster.look.rows('create table held (value int)')
  const writer = await ormOver({ primary: cluster.primary, standbys: [] }, { pool: { min: 0, max: 2 } })
  const orm = await ormOver(cluster, { pool: { min: 0, max: 2 } })
  world.registry = new EngineRegistry<ReplicaEngines>({ writer, reader: { orm, readOnly: true, replicaOf: 'writer' } })
  await whichAnswers(world)
  await standby!.kill()
  await cluster.look.rows('begin')
  await cluster.look.rows('lock held')
  let isOver = false
  const reading = Promise.all(
    Array.from({ length: 10 }, () => read(world, 'select count(*)::int as value from held')),
  ).finally(() => (isOver = true))
  const pool = await poolOf(orm)
  await until(() => pool.waitingCount === 8, 'all reads to wait, two of them for the lock')
  for (let each = 0; each < 20; each++) {
    await world.registry.run(({ dbSession }) => void dbSession.writer.create(Author, { name: 'a' }))
  }
  assert.not.ok(isOver)
  await cluster.look.rows('commit')
  assert.equal(new Set(await reading), new Set([0]))
  assert.is(await read(world), 20)
  assert.ok(world.heard.servers.every((server) => server === 'primary' || server === standby!.name))
  await poolIdle(await poolOf(writer))
  await poolIdle(pool)
})

for (const readOnly of [true, 'snapshot'] as const) {
  test(`a pool whose connections are all in use says nothing of the replica, with readOnly: ${readOnly}`, async (world) => {
    const cluster = await newCluster(world, 1)
    const writer = await ormOver({ primary: cluster.primary, standbys: [] })
    const orm = await ormOver(cluster, { pool: { min: 0, max: 1 }, driverOptions: { connectionTimeoutMillis: 200 } })
    const reader = { orm, readOnly, replicaOf: 'writer' }
    world.registry = new EngineRegistry<ReplicaEngines>({ writer, reader })
    await cluster.look.rows(`insert into author (name) select 'a' from generate_series(1, 500)`)
    await cluster.level()
    const server = await whichAnswers(world)
    const goOn = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const holding = world.registry.run(async ({ dbSession }) => {
      for await (const _ of dbSession.reader.stream(Author)) {
        held.resolve()
        await goOn.promise
      }
    })
    await held.promise
    const error = await rejection(read(world)).finally(goOn.resolve)
    await holding
    assert.match(error.message, /timeout exceeded when trying to connect/)
    assert.equal(world.heard.states, [])
    assert.is(await whichAnswers(world), server)
  })
}

test('where the primary is down, what it had written is read from its replicas', async (world) => {
  const { primary, look, level, standby } = await overOne(world)
  await look.rows(`insert into author (name) values ('before')`)
  await level()
  await look.close()
  await primary.stop()
  world.heard.forget()
  assert.is(await read(world), 1)
  assert.equal(world.heard.servers, [standby.name])
})

test('an address that leads now to the primary and now to a standby is judged by each answer', async (world) => {
  const cluster = await sharedCluster()
  const [standby] = cluster.standbys
  let port = cluster.primary.port
  const endpoint = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    client.pipe(server).pipe(client)
    for (const [one, other] of [[client, server] as const, [server, client] as const]) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve))
  const writer = await ormOver({ primary: cluster.primary, standbys: [] })
  const orm = await ormOver(cluster, {
    replicas: [{ host: '127.0.0.1', port: (endpoint.address() as AddressInfo).port }],
  })
  world.registry = new EngineRegistry<ReplicaEngines>({ writer, reader: { orm, readOnly: true, replicaOf: 'writer' } })
  await whichAnswers(world)
  await standby!.pause()
  port = standby!.port
  // The probe keeps its connection to the primary; those of the pool are new.
  const pool = (await replicasOf(orm.driver)[0]!.getNativeClient()) as pg.Pool
  const client = await pool.connect()
  client.release(true)
  const before = Number(await cluster.look.value('select count(*) from author'))
  const found = await world.registry.run(async ({ dbSession, tm, txn }) => {
    dbSession.writer.create(Author, { name: 'own' })
    await txn.commit()
    await tm.begin()
    return await dbSession.reader.count(Author)
  })
  assert.is(found, before + 1)
  await world.registry.close()
  await cluster.level()
  await new Promise((resolve) => endpoint.close(resolve))
})

test('one connection that ends costs its own statement a move, and others nothing', async (world) => {
  const { look, level, standby } = await overOne(world)
  await look.rows(`insert into author (name) select 'a' from generate_series(1, 300)`)
  await level()
  const reading = read(
    world,
    `select count(*)::int as value, case when pg_is_in_recovery() then pg_sleep(60) end from author`,
  )
  const rows = await world.registry.run(async ({ dbSession }) => {
    let count = 0
    for await (const _row of dbSession.reader.stream(Author, { chunkSize: 100 })) {
      if (count++ > 0) continue
      await until(async () => {
        const ended = await standby.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'`,
        )
        return ended.length === 1
      }, 'the statement to sleep')
    }
    return count
  })
  assert.equal([await reading, rows], [300, 300])
  assert.equal(world.heard.states, [])
})

test('replicas that leave end the wait for them', async (world) => {
  const { standby } = await overOne(world, { replicaOf: { role: 'writer', waitMs: 60_000 } })
  await standby.pause()
  const found = world.registry.run(async ({ dbSession, tm, txn }) => {
    dbSession.writer.create(Author, { name: 'own' })
    await txn.commit()
    await tm.begin()
    return await dbSession.reader.count(Author)
  })
  await standby.kill()
  assert.is(await found, 1)
  assert.is(world.heard.fallbacks[0]?.reason, 'down')
})

test("with otherwise: 'error' nothing goes to the primary", async (world) => {
  const cluster = await sharedCluster()
  await over(world, cluster, { replicaOf: { role: 'writer', waitMs: 20, otherwise: 'error' } })
  await whichAnswers(world)
  for (const standby of cluster.standbys) await standby.pause()
  const error = await rejection(
    world.registry.run(async ({ dbSession, tm, txn }) => {
      dbSession.writer.create(Author, { name: 'unseen' })
      await txn.commit()
      await tm.begin()
      await dbSession.reader.count(Author)
    }),
  )
  assert.instance(error, NoReplicaError)
  assert.is((error as NoReplicaError).status, 503)
  await cluster.level()
})

test('a snapshot that no other server can take over fails once, and gives its connection back once', async (world) => {
  const { standby } = await overOne(world, { readOnly: 'snapshot', replicaOf: { role: 'writer', otherwise: 'error' } })
  await standby.promote()
  const seen = await warnings('SQLASSIST_ROLLBACK_FAILED', async () => {
    assert.instance(await rejection(read(world)), NoReplicaError)
  })
  assert.equal(seen, [])
})

test('a statement that moves with its snapshot leaves nothing on the connection that answers it', async (world) => {
  const { look, level, standby } = await overOne(world, { readOnly: 'snapshot' })
  await look.rows(`create function locking() returns int language sql as 'select 7 from pg_advisory_lock(7)'`)
  await level()
  await standby.promote()
  world.heard.forget()
  assert.is(await read(world, 'select locking() as value'), 7)
  assert.is(await look.value(`select count(*) from pg_locks where locktype = 'advisory'`), 0)
  assert.equal(world.heard.servers, ['primary'])
})

test('a stream moves until it has handed out rows', async (world) => {
  const { look, level, standby } = await overOne(world)
  await look.rows(`insert into author (name) select 'a' from generate_series(1, 500)`)
  await level()
  const stream = async (between: (rows: number) => Promise<void>): Promise<number> =>
    await world.registry.run(async ({ dbSession }) => {
      let rows = 0
      for await (const _row of dbSession.reader.stream(Author, { chunkSize: 100 })) {
        rows++
        await between(rows)
      }
      return rows
    })
  assert.is(await stream(async () => undefined), 500)
  const error = await rejection(stream(async (rows) => void (rows === 1 && (await standby.kill()))))
  assert.instance(error, ReplicaLostError)
  assert.is(await stream(async () => undefined), 500)
})

test('a read inside of a stream that has the only connection goes elsewhere', async (world) => {
  const cluster = await sharedCluster()
  const writer = await ormOver({ primary: cluster.primary, standbys: [] })
  const orm = await ormOver({ ...cluster, standbys: cluster.standbys.slice(0, 1) }, { pool: { min: 0, max: 1 } })
  world.registry = new EngineRegistry<ReplicaEngines>({ writer, reader: { orm, readOnly: true, replicaOf: 'writer' } })
  await cluster.look.rows(`insert into author (name) select 'a' from generate_series(1, 50)`)
  await cluster.level()
  await whichAnswers(world)
  await world.registry.run(async ({ dbSession }) => {
    for await (const _row of dbSession.reader.stream(Author, { chunkSize: 10 })) {
      await dbSession.reader.count(Author)
      break
    }
  })
})

test.run()
