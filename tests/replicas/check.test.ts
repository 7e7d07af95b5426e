/** What a server says of itself comes before the snapshot of what is read, in the same round trip. */
import pg from 'pg'
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { POSITION, positionOf } from '../../source/database/postgres/commit-position.ts'
import { answerIn, CHECK } from '../../source/database/postgres/replica-check.ts'
import { Author } from '../support/entities.ts'
import { ormOver, sharedCluster, type Cluster, type ReplicaEngines } from '../support/replicas.ts'
import { suite } from '../support/suite.ts'
import { openWire } from '../support/wire.ts'

interface World {
  cluster: Cluster
}

const test = suite<World>('the check in front of a read')

test.before(async (world) => {
  world.cluster = await sharedCluster()
  await world.cluster.look.rows('create table counted (value int)')
  await world.cluster.look.rows('insert into counted values (0)')
  await world.cluster.level()
})
test.after(async ({ cluster }) => {
  await cluster.look.rows('drop table counted')
})

/** Enough for a snapshot that is taken before the check to be seen many times. */
const ROUNDS = 400

for (const isolation of ['read committed', 'repeatable read']) {
  for (const begin of ['begin read only', 'begin isolation level repeatable read read only']) {
    test(`passes for no old state with ${begin}, where ${isolation} is the default`, async ({ cluster }) => {
      const { username, password } = new URL(cluster.primary.url)
      const replica = new pg.Client({
        host: '127.0.0.1',
        port: cluster.standbys[0]!.port,
        user: username,
        password,
        database: 'postgres',
        options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`,
      })
      await replica.connect()
      const text = `${[...CHECK, begin].join(';')};select value from counted\n;rollback`
      let stale = 0
      let value = (await cluster.look.value('select value from counted')) as number
      for (let round = 0; round < ROUNDS; round++) {
        value++
        await cluster.look.rows(`update counted set value = ${value}`)
        const [row] = await cluster.look.rows(POSITION)
        const needed = positionOf(row as { position: string; page: string }) ?? 0n
        for (;;) {
          const results = (await replica.query(text)) as unknown as pg.QueryResult[]
          const answer = answerIn(results, 0)
          if (answer === undefined || answer.position < needed) continue
          if (results[CHECK.length + 1]?.rows[0].value !== value) stale++
          break
        }
      }
      await replica.end()
      assert.is(stale, 0)
    })
  }
}

for (const [readOnly, begin] of [
  [true, 'begin read only'],
  ['snapshot', 'begin isolation level repeatable read read only'],
] as const) {
  test(`travels with the first statement of a role with readOnly: ${String(readOnly)}`, async ({ cluster }) => {
    const [standby] = cluster.standbys
    const wire = await openWire(`postgres://postgres:password@127.0.0.1:${standby!.port}/postgres`)
    const writer = await ormOver({ primary: cluster.primary, standbys: [] })
    const orm = await ormOver(cluster, { replicas: [{ host: '127.0.0.1', port: Number(new URL(wire.url).port) }] })
    const registry = new EngineRegistry<ReplicaEngines>({ writer, reader: { orm, readOnly, replicaOf: 'writer' } })
    const read = async (): Promise<void> => {
      await registry.run(async ({ dbSession }) => {
        await dbSession.reader.count(Author)
        await dbSession.reader.execute('select ?::int as one', [1])
      })
    }
    await read()
    wire.reset()
    await read()
    const reads = wire.messages().filter(({ text }) => !text.includes('pg_postmaster_start_time'))
    assert.is(reads[0]?.text.startsWith([...CHECK, begin, 'select count(*)'].join(';')), true)
    const trips = wire
      .trips()
      .filter(({ messages }) => !messages.some((text) => text.includes('pg_postmaster_start_time')))
    // The snapshot is given up at the end.
    assert.is(trips.length, readOnly === true ? 2 : 3)
    await registry.close()
    await wire.close()
  })
}

test.run()
