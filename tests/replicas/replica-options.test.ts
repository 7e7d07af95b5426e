/** Options of replicas that cannot work are refused at the start, with the fix. */
import * as assert from 'uvu/assert'
import {
  ConfigurationError,
  dbSessions,
  EngineRegistry,
  type Engines,
  positionHeader,
  positionOf,
  type ReadYourWrites,
} from '../../source/index.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { ormOver, readerAndWriterOf, sharedCluster, startCluster, type ReplicaEngines } from '../support/replicas.ts'
import { Author } from '../support/entities.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  writer: TestOrm
  reader: TestOrm
  sqlite: TestOrm
}

const test = suite<World>('the options of replicas')

test.before(async (world) => {
  const target = await newDatabase('postgresql')
  world.writer = await openOrm(target)
  world.reader = await openOrm(target)
  world.sqlite = await openOrm(await newDatabase('sqlite'))
})
test.after(async ({ writer, reader, sqlite }) => {
  for (const orm of [writer, reader, sqlite]) await orm.close()
})

const WRONG: readonly (readonly [string, (world: World) => Record<string, unknown>, RegExp])[] = [
  [
    'no role',
    ({ writer, reader }) => ({ writer, reader: { orm: reader, readOnly: true, replicaOf: 'nobody' } }),
    /replicaOf: "nobody", which is no role\. It can be "writer"/,
  ],
  [
    'itself',
    ({ writer, reader }) => ({ writer, reader: { orm: reader, readOnly: true, replicaOf: 'reader' } }),
    /which is itself/,
  ],
  [
    'a role that only reads',
    ({ writer, reader }) => ({
      writer: { orm: writer, readOnly: true },
      reader: { orm: reader, readOnly: true, replicaOf: 'writer' },
    }),
    /which only reads\. There is no role that writes in a transaction/,
  ],
  [
    'an autocommit role',
    ({ writer, reader }) => ({
      writer: { orm: writer, commit: 'autocommit' },
      reader: { orm: reader, readOnly: true, replicaOf: 'writer' },
    }),
    /which commits each statement alone/,
  ],
  [
    'a role on SQLite',
    ({ sqlite, reader }) => ({ writer: sqlite, reader: { orm: reader, readOnly: true, replicaOf: 'writer' } }),
    /which is not on PostgreSQL/,
  ],
  [
    'a role, from SQLite',
    ({ sqlite, writer }) => ({ writer, reader: { orm: sqlite, readOnly: true, replicaOf: 'writer' } }),
    /replicaOf, which is for PostgreSQL/,
  ],
  [
    'a role, without readOnly',
    ({ writer, reader }) => ({ writer, reader: { orm: reader, replicaOf: 'writer' } }),
    /may write.*readOnly: true/,
  ],
  [
    'a role, with pipelineCommit',
    ({ writer, reader }) => ({
      writer,
      reader: { orm: reader, readOnly: true, pipelineCommit: true, replicaOf: 'writer' },
    }),
    /pipelineCommit: true/,
  ],
  [
    'a role, serializable',
    ({ writer, reader }) => ({
      writer,
      reader: { orm: reader, readOnly: true, isolationLevel: 'serializable', replicaOf: 'writer' },
    }),
    /replicas of PostgreSQL do not have/,
  ],
  [
    'a number',
    ({ writer, reader }) => ({ writer, reader: { orm: reader, readOnly: true, replicaOf: 5 } }),
    /a replicaOf that is a number.*replicaOf: 'writer'/,
  ],
  [
    'null',
    ({ writer, reader }) => ({ writer, reader: { orm: reader, readOnly: true, replicaOf: null } }),
    /a replicaOf that is null/,
  ],
  [
    'options without a role',
    ({ writer, reader }) => ({ writer, reader: { orm: reader, readOnly: true, replicaOf: { waitMs: 5 } } }),
    /without a role/,
  ],
  [
    'an unknown option',
    ({ writer, reader }) => ({
      writer,
      reader: { orm: reader, readOnly: true, replicaOf: { role: 'writer', maxLag: 5 } },
    }),
    /option "maxLag" in replicaOf.*role, maxLagMs, waitMs, otherwise/,
  ],
  [
    'a maxLagMs below a second',
    ({ writer, reader }) => ({
      writer,
      reader: { orm: reader, readOnly: true, replicaOf: { role: 'writer', maxLagMs: 999 } },
    }),
    /maxLagMs: 999.*from 1000 to 3600000/,
  ],
  [
    'a waitMs of text',
    ({ writer, reader }) => ({
      writer,
      reader: { orm: reader, readOnly: true, replicaOf: { role: 'writer', waitMs: '5' } },
    }),
    /waitMs: "5".*from 0 to 60000/,
  ],
  [
    'a waitMs that is no number',
    ({ writer, reader }) => ({
      writer,
      reader: { orm: reader, readOnly: true, replicaOf: { role: 'writer', waitMs: Number.NaN } },
    }),
    /waitMs: null|waitMs: NaN/,
  ],
  [
    'another way out',
    ({ writer, reader }) => ({
      writer,
      reader: { orm: reader, readOnly: true, replicaOf: { role: 'writer', otherwise: 'replica' } },
    }),
    /otherwise: "replica"\. It can be "primary" or "error"/,
  ],
]

for (const [what, engines, message] of WRONG) {
  test(`replicaOf that names ${what} is refused`, (world) => {
    assert.throws(
      () => new EngineRegistry(engines(world) as Engines),
      (error: unknown) => error instanceof ConfigurationError && message.test(error.message),
    )
  })
}

const CARRIERS: readonly unknown[] = [5, {}, { read: () => undefined }, 'cookie', null]
for (const carrier of CARRIERS) {
  test(`readYourWrites: ${JSON.stringify(carrier)} is refused`, ({ writer }) => {
    assert.throws(
      () => dbSessions({ writer }, { readYourWrites: carrier as ReadYourWrites }),
      /It can be true, false, positionHeader/,
    )
  })
}

test('a header of no name is refused, and a position of anything but a container', () => {
  assert.throws(() => positionHeader('x position'), /no name of a header/)
  assert.throws(() => positionOf({}), /Give it ctx\.dbSession/)
})

test('a reader whose primary is another database is refused at its first use', async () => {
  const cluster = await sharedCluster()
  const other = await startCluster(0)
  const { reader } = await readerAndWriterOf(cluster)
  const writer = await ormOver(other)
  const registry = new EngineRegistry<ReplicaEngines>({ writer, reader })
  const error = await rejection(registry.run(({ dbSession }) => dbSession.reader.count(Author)))
  assert.instance(error, ConfigurationError)
  assert.match(error.message, /its primary is another database: \d+\/postgres instead of \d+\/postgres/)
  await registry.close()
  await other.close()
})

for (const count of [0, 1]) {
  test(`a reader whose primary is a standby itself is refused at its first use, with ${count} replicas`, async () => {
    const cluster = await sharedCluster()
    const { writer } = await readerAndWriterOf(cluster)
    const [standby] = cluster.standbys
    const clientUrl = `postgres://postgres:password@127.0.0.1:${standby!.port}/postgres`
    const orm = await ormOver({ ...cluster, standbys: cluster.standbys.slice(0, count) }, { clientUrl })
    const registry = new EngineRegistry<ReplicaEngines>({
      writer,
      reader: { orm, readOnly: true, replicaOf: 'writer' },
    })
    const error = await rejection(registry.run(({ dbSession }) => dbSession.reader.count(Author)))
    assert.instance(error, ConfigurationError)
    assert.match(error.message, /its primary is a standby itself/)
    await registry.close()
  })
}

test('replicas that nobody checks are warned of, once for each role', async () => {
  const cluster = await sharedCluster()
  const seen = await warnings('SQLASSIST_UNCHECKED_REPLICAS', async () => {
    const orm = await ormOver(cluster)
    const registry = new EngineRegistry({ reader: { orm, readOnly: true } })
    await registry.close()
  })
  assert.is(seen.length, 1)
  assert.match(seen[0]?.message ?? '', /one of 2 replicas, by chance.*replicaOf: 'writer'/)
})

test('without replicas everything comes from the primary, over the pool of the reader', async () => {
  const cluster = await sharedCluster()
  const { writer } = await readerAndWriterOf(cluster)
  const orm = await ormOver({ ...cluster, standbys: [] })
  const registry = new EngineRegistry<ReplicaEngines>({ writer, reader: { orm, readOnly: true, replicaOf: 'writer' } })
  const before = Number(await cluster.look.value('select count(*) from author'))
  const found = await registry.run(async ({ dbSession, tm, txn }) => {
    dbSession.writer.create(Author, { name: 'a' })
    await txn.commit()
    await tm.begin()
    return await dbSession.reader.count(Author)
  })
  assert.is(found, before + 1)
  await registry.close()
})

test.run()
