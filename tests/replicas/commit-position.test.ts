/** Each commit that replicas are to show brings its position with it, and an error behind COMMIT is no error of the commit. */
import { connect, createServer, type AddressInfo } from 'node:net'
import * as assert from 'uvu/assert'
import { EngineRegistry, positionOf, type EngineOptions } from '../../source/index.ts'
import { parsePosition } from '../../source/database/wal-position.ts'
import { Author } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { poolOf } from '../support/orms.ts'
import { ormOver, readerAndWriterOf, sharedCluster, type Cluster, type ReplicaEngines } from '../support/replicas.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  cluster: Cluster
  wire: Wire
  registry: EngineRegistry<ReplicaEngines>
}

const test = suite<World>('the position of a commit')

test.before(async (world) => {
  world.cluster = await sharedCluster()
  await world.cluster.look.rows('create extension if not exists pg_walinspect')
})
test.before.each(async (world) => {
  world.wire = await openWire(world.cluster.primary.url)
  await world.cluster.look.rows('delete from author')
})
test.after.each(async ({ registry, wire }) => {
  await registry?.close()
  await wire.close()
})

/** A registry whose writer is reached by way of the wire. */
async function open(
  world: World,
  options: Partial<EngineOptions> = {},
  more: object = {},
  config: object = { clientUrl: world.wire.url },
): Promise<void> {
  const { cluster, wire } = world
  const writer = await ormOver({ primary: cluster.primary, standbys: [] }, { ...config })
  await writer.em.execute('select 1')
  wire.reset()
  const { reader } = await readerAndWriterOf(cluster)
  world.registry = new EngineRegistry<ReplicaEngines>(
    { writer: { orm: writer, ...options }, reader, ...more },
    { recover: false },
  )
}

/** Stores one author and commits; returns the position. */
async function store({ registry }: World, before?: (em: any) => Promise<unknown>): Promise<string | undefined> {
  return await registry.run(async ({ dbSession, txn }) => {
    await before?.(dbSession.writer)
    dbSession.writer.create(Author, { name: 'stored' })
    await txn.commit()
    return positionOf(dbSession)
  })
}

/** Where the last commit behind `start` ends, in the log itself. */
async function endOfCommit({ look }: Cluster, start: unknown): Promise<bigint> {
  let end: unknown
  await until(async () => {
    // Nothing is there to be read until the log is written.
    end = await look
      .value(
        `select max(end_lsn)::text from pg_get_wal_records_info($1, pg_current_wal_flush_lsn())
        where resource_manager = 'Transaction' and record_type = 'COMMIT'`,
        start,
      )
      .catch(() => null)
    return end !== null
  }, 'the record of the commit to be written')
  return positionIn(end as string)
}

async function countIn({ cluster }: World): Promise<unknown> {
  return await cluster.look.value('select count(*)::int from author')
}

/** Where a standby is that has replayed everything. */
async function replayed({ cluster }: World): Promise<string> {
  await cluster.level()
  const [row] = await cluster.standbys[0]!.query('select pg_last_wal_replay_lsn()::text as position')
  return row?.['position']
}

function positionIn(text: string | undefined): bigint {
  return parsePosition(text?.replace(/^writer:/, '')) ?? -1n
}

for (const [what, options] of [
  ['COMMIT', {}],
  ['COMMIT behind the last statement', { pipelineCommit: true }],
  ['the commit of an autonomous role', { commit: 'autonomous' }],
] as const) {
  test(`${what} asks for it in the same round trip`, async (world) => {
    await open(world, options)
    const sql = ['begin', /^insert into "author"/, 'commit', /^select pg_catalog\.pg_current_wal_insert_lsn/]
    await world.registry.run(({ dbSession }) => void dbSession.writer.create(Author, { name: 'a' }))
    const sent = world.wire.sql()
    assert.is(sent.length, sql.length)
    sql.forEach((expected, index) =>
      typeof expected === 'string' ? assert.is(sent[index], expected) : assert.match(sent[index]!, expected),
    )
    assert.is(world.wire.trips().length, 'pipelineCommit' in options ? 1 : 2)
  })
}

test('a role that nobody follows sends what it sends without replicas', async (world) => {
  await open(world)
  const { registry } = world
  world.wire.reset()
  const alone = new EngineRegistry({ writer: registry.get('writer') }, { recover: false })
  await alone.run(({ dbSession }) => void dbSession.writer.create(Author, { name: 'a' }))
  assert.equal(
    world.wire.sql().map((sql) => sql.replace(/ into .*/, '')),
    ['begin', 'insert', 'commit'],
  )
  await alone.close()
})

for (const setting of ['on', 'off']) {
  test(`it is not before the end of the record, with synchronous_commit ${setting}`, async (world) => {
    await open(world)
    for (let round = 0; round < 20; round++) {
      const before = await world.cluster.look.value('select pg_current_wal_insert_lsn()::text')
      const position = await store(world, (em) => em.execute(`set local synchronous_commit = ${setting}`))
      const end = await endOfCommit(world.cluster, before)
      assert.ok(positionIn(position) >= end, `${position} is before the end of its record, ${end}`)
      assert.is(positionIn(position) - end < 8192n, true)
    }
  })
}

test('a commit whose record ends with its page counts as replayed by a standby that is through with it', async (world) => {
  await open(world)
  const { look } = world.cluster
  const at = async (): Promise<bigint> =>
    positionIn((await look.value('select pg_current_wal_insert_lsn()::text')) as string)
  const emit = (length: number, isInTransaction: boolean): string =>
    `select pg_logical_emit_message(${isInTransaction}, '', repeat('x', ${length}))`
  const storeMessage = async (length: number): Promise<string | undefined> =>
    await world.registry.run(async ({ dbSession, txn }) => {
      await dbSession.writer.execute(emit(length, true))
      dbSession.markChanged('writer')
      await txn.commit()
      return positionOf(dbSession)
    })
  let ends = 0
  let size = 0
  for (let round = 0; round < 300 && ends < 3; round++) {
    const before = await at()
    const missing = 8192 - Number(before % 8192n)
    if (size > 0 && missing < size) await look.rows(emit(missing, false))
    else if (size > 0 && missing > size + 200) await look.rows(emit(missing - size - 150, false))
    else {
      const length = size === 0 ? 16 : missing - size
      const position = await storeMessage(length)
      const after = await at()
      if (after / 8192n === before / 8192n) size = Number(after - before) - length
      if (after % 8192n !== 24n) continue
      ends++
      await world.cluster.level()
      assert.ok(positionIn(position) <= positionIn(await replayed(world)), `${position} is never replayed`)
    }
  }
  assert.ok(ends > 0, 'no record ended with its page')
})

const HARM: readonly (readonly [string, string])[] = [
  ['is cancelled', 'select pg_cancel_backend($1)'],
  ['loses its connection', 'select pg_terminate_backend($1)'],
]
for (const options of [{}, { pipelineCommit: true }]) {
  const how = 'pipelineCommit' in options ? ', sent with the last statement,' : ''
  for (const [what, harm] of HARM) {
    test(`what ${what} behind COMMIT${how} is a success, stored once, and its position is asked elsewhere`, async (world) => {
      const slow = await openSlow(world)
      try {
        await open(world, options, {}, { clientUrl: slow.url })
        const storing = store(world)
        await world.cluster.look.rows(harm, await slow.asleep())
        assert.match((await storing) ?? '', /^writer:[0-9A-F]+\/[0-9A-F]+$/)
        assert.is(await countIn(world), 1)
        await poolIdle(await poolOf(world.registry.get('writer')))
      } finally {
        await world.registry.close()
        await slow.close()
      }
    })
  }

  test(`a time limit that is over behind COMMIT${how} is no error`, async (world) => {
    const slow = await openSlow(world)
    try {
      await open(world, options, {}, { clientUrl: slow.url, driverOptions: { statement_timeout: 300 } })
      assert.match((await store(world)) ?? '', /^writer:[0-9A-F]+\/[0-9A-F]+$/)
      assert.is(await countIn(world), 1)
    } finally {
      await world.registry.close()
      await slow.close()
    }
  })
}

test('a user who may not ask for it commits, is warned, and reads from the primary', async (world) => {
  const { cluster } = world
  await cluster.look.rows(`create role humble login password 'humble'`)
  await cluster.look.rows('grant select, insert on author to humble')
  await cluster.look.rows('grant usage on all sequences in schema public to humble')
  await cluster.look.rows('revoke execute on function pg_current_wal_insert_lsn() from public')
  try {
    const url = new URL(cluster.primary.url)
    url.username = url.password = 'humble'
    const writer = await ormOver({ primary: cluster.primary, standbys: [] }, { clientUrl: url.href })
    world.registry = new EngineRegistry<ReplicaEngines>({ writer, reader: (await readerAndWriterOf(cluster)).reader })
    await cluster.standbys[0]!.pause()
    await cluster.standbys[1]!.pause()
    const seen = await warnings('SQLASSIST_POSITION_UNKNOWN', async () => {
      await world.registry.run(async ({ dbSession, txn }) => {
        dbSession.writer.create(Author, { name: 'humble' })
        await txn.commit()
        assert.is(await dbSession.reader.count(Author), 1)
        assert.is(positionOf(dbSession), undefined)
      })
    })
    assert.is(seen.length, 1)
  } finally {
    await cluster.look.rows('grant execute on function pg_current_wal_insert_lsn() to public')
    await world.registry.close()
    await cluster.level()
    await cluster.look.rows('drop owned by humble')
    await cluster.look.rows('drop role humble')
  }
})

test('of several databases each that is followed has its position, also the one that was prepared', async (world) => {
  const { cluster } = world
  const other = await ormOver({ primary: cluster.primary, standbys: [] })
  await open(world, {}, { other, otherReader: (await readerAndWriterOf(cluster, { replicaOf: 'other' })).reader })
  const text = await world.registry.run(async ({ dbSession, txn }) => {
    dbSession.writer.create(Author, { name: 'one' })
    dbSession.get('other').create(Author, { name: 'two' })
    await txn.commit()
    return positionOf(dbSession)
  })
  assert.match(text ?? '', /^(?:writer:[0-9A-F/]+,other:[0-9A-F/]+|other:[0-9A-F/]+,writer:[0-9A-F/]+)$/)
  await cluster.level()
  assert.is(await countIn(world), 2)
  for (const part of text!.split(',')) {
    const [, position] = part.split(':')
    assert.ok(positionIn(position) <= positionIn(await replayed(world)))
  }
})

test('what is rolled back has no position', async (world) => {
  await open(world)
  await world.registry.run(async ({ dbSession, txn }) => {
    dbSession.writer.create(Author, { name: 'a' })
    await dbSession.writer.flush()
    await txn.abort()
    assert.is(positionOf(dbSession), undefined)
  })
})

test('with transactions disabled each commit has its position as well', async (world) => {
  const { writer, reader } = await readerAndWriterOf(world.cluster)
  world.registry = new EngineRegistry<ReplicaEngines>({ writer, reader }, { disableTransaction: true })
  await world.registry.run(async ({ dbSession }) => {
    dbSession.writer.create(Author, { name: 'a' })
    await dbSession.writer.commit()
    assert.match(positionOf(dbSession) ?? '', /^writer:/)
  })
})

/** A way to the primary on which COMMIT is followed by a statement that takes until something ends it, in the same string. */
async function openSlow({ cluster }: World): Promise<Slow> {
  const server = createServer((client) => {
    const upstream = connect(cluster.primary.port, '127.0.0.1')
    client.on('data', (data) => upstream.write(withSleep(data)))
    upstream.pipe(client)
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(cluster.primary.url)
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    async asleep() {
      for (;;) {
        const [row] = await cluster.look.rows(`select pid from pg_stat_activity where wait_event = 'PgSleep'`)
        if (row !== undefined) return row['pid'] as number
      }
    },
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  }
}

/** Puts the sleep into a simple query, whose length stands behind its first byte. */
function withSleep(data: Buffer): Buffer {
  const text = data.toString('latin1')
  if (text[0] !== 'Q' || !text.includes('commit;select')) return data
  const changed = Buffer.from(text.replace('commit;select', 'commit;select pg_sleep(60);select'), 'latin1')
  changed.writeInt32BE(changed.length - 1, 1)
  return changed
}

interface Slow {
  readonly url: string
  /** The number of the backend that has come to the sleep. */
  asleep(): Promise<number>
  close(): Promise<void>
}

test.run()
