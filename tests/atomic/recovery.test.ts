/** What a crash left prepared, and what becomes of it. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { recoverOnce } from '../../source/atomic/recovery.ts'
import { rejection } from '../support/rejection.ts'
import { addIn, decisionsIn, has, preparedIn, SeveralDatabases, type Place } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'

type Registry = EngineRegistry<Record<string, EngineOptions>>

interface World {
  several: SeveralDatabases
  registry: Registry
  a: Place
  writer: Place
  file: Place
}

const test = suite<World>('recovery')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({
    a: 'postgresql',
    writer: 'postgresql',
    z: 'postgresql',
    file: 'sqlite',
  })
  world.registry = await world.several.warmRegistry()
  for (const role of ['a', 'writer', 'file'] as const) world[role] = world.several.place(role)
})
test.before.each(async ({ several }) => await several.reset())
test.after(async ({ several, registry }) => {
  await registry.close()
  await several.close()
})

let count = 0

/** Prepares a row as a commit does that died afterwards; `decide` writes the decision as it would have. */
async function die(
  { a }: World,
  point: Place,
  { decide = false, application = 'app', database = undefined as string | undefined, role = 'a' } = {},
): Promise<string> {
  const name = database ?? (await point.look.value(`select decision from sqlassist_decision where id = 'database'`))
  const id = `sqlassist:${application}:${point.role}:${String(name)}:${String(++count).padStart(22, '0')}`
  await a.look.rows('begin')
  await a.look.rows(`insert into author (name) values ('${id}')`)
  await a.look.rows(`prepare transaction '${id}:${role}'`)
  if (decide) await point.look.rows(`insert into sqlassist_decision (id, decision) values ('${id}', 'commit')`)
  return `${id}:${role}`
}

const stored = async ({ a }: World, gid: string): Promise<unknown> => await has(a, gid.slice(0, gid.lastIndexOf(':')))

for (const point of ['writer', 'file'] as const) {
  test(`what was decided by ${point} is committed, what was not is rolled back, and its decision is kept`, async (world) => {
    const [yes, no] = [await die(world, world[point], { decide: true }), await die(world, world[point])]
    const report = await world.registry.recover({ graceMs: 0 })
    assert.equal(report, { committed: [{ id: yes, role: 'a' }], rolledBack: [{ id: no, role: 'a' }], left: [] })
    assert.equal([await stored(world, yes), await stored(world, no)], [1, 0])
    assert.equal(await preparedIn(world.a), [])
    assert.equal(await decisionsIn(world[point]), ['commit', 'abort'])
  })
}

test('what is younger than the grace period is not looked at', async (world) => {
  const gid = await die(world, world.writer)
  const nothing = { committed: [], rolledBack: [], left: [] }
  assert.equal(await world.registry.recover(), nothing)
  assert.equal(await world.registry.recover({ graceMs: 60_000 }), nothing)
  assert.equal(await preparedIn(world.a), [gid])
  assert.equal(await decisionsIn(world.writer), [])
})

test('a prepared transaction of somebody else is never touched, and one of another database is not seen', async (world) => {
  await world.a.look.rows('begin')
  await world.a.look.rows(`prepare transaction 'a stranger'`)
  const elsewhere = world.several.place('z')
  await elsewhere.look.rows('begin')
  await elsewhere.look.rows(`prepare transaction 'sqlassist:app:writer:nowhere:x:z'`)
  const two = await SeveralDatabases.again(world.several, ['a', 'writer'])
  const report = await two.registry.recover({ graceMs: 0 })
  await two.close()
  assert.equal(report, { committed: [], rolledBack: [], left: [] })
  assert.equal(await preparedIn(world.a), ['a stranger'])
  assert.is((await preparedIn(elsewhere)).length, 1)
})

test('another application, a database that is not here, an id of another make: left, each with its reason', async (world) => {
  await die(world, world.writer, { application: 'billing' })
  await die(world, world.writer, { database: 'unknown-here' })
  await world.a.look.rows('begin')
  await world.a.look.rows(`prepare transaction 'sqlassist:2:something'`)
  const { left, committed, rolledBack } = await world.registry.recover({ graceMs: 0 })
  assert.equal([committed, rolledBack], [[], []])
  const reasons = left.map(({ reason }) => reason).toSorted()
  assert.is(reasons.length, 3)
  assert.match(reasons[0]!, /application "billing"/)
  assert.match(reasons[1]!, /not made by this version/)
  assert.match(reasons[2]!, /of role "writer", was not found: no role of this registry is that database/)
  assert.is((await preparedIn(world.a)).length, 3)
})

test('a commit point that cannot be reached: left, never guessed, and settled when it is back', async (world) => {
  const gid = await die(world, world.writer, { decide: true })
  await world.writer.wire!.down()
  const blind = await world.registry.recover({ graceMs: 0 })
  assert.equal([blind.committed, blind.rolledBack], [[], []])
  assert.is(blind.left.find(({ id }) => id === undefined)?.role, 'writer')
  assert.match(blind.left.find(({ id }) => id === gid)!.reason, /"writer" could not be asked/)
  await world.writer.wire!.up()
  assert.equal((await world.registry.recover({ graceMs: 0 })).committed, [{ id: gid, role: 'a' }])
})

test('a role that is another database in another process does not decide: databases are told by their own names', async (world) => {
  const gid = await die(world, world.writer, { decide: true })
  const orms = { a: world.a.orm, writer: world.several.place('z').orm }
  const other = new EngineRegistry(orms, { recover: false })
  const { left } = await other.recover({ graceMs: 0 })
  assert.match(left[0]!.reason, /no role of this registry is that database/)
  assert.equal(await preparedIn(world.a), [gid])
})

test('two databases of one name, one of them a copy: the one that has the decision is believed', async (world) => {
  const { look } = world.several.place('z')
  const name = await world.writer.look.value(`select decision from sqlassist_decision where id = 'database'`)
  await look.rows(`insert into sqlassist_decision (id, decision) values ('database of the original', $1)`, name)
  const [yes, no] = [await die(world, world.writer, { decide: true }), await die(world, world.writer)]
  const report = await world.registry.recover({ graceMs: 0 })
  await look.rows(`delete from sqlassist_decision where id = 'database of the original'`)
  assert.equal([report.committed.map(({ id }) => id), report.rolledBack.map(({ id }) => id)], [[yes], [no]])
})

test('many at once: each transaction is finished once, and by the decision', async (world) => {
  const gids = []
  for (let index = 0; index < 12; index++) gids.push(await die(world, world.writer, { decide: index % 2 === 0 }))
  const others = await Promise.all([1, 2, 3].map(() => SeveralDatabases.again(world.several, ['a', 'writer'])))
  const reports = await Promise.all(
    [world.registry, ...others.map(({ registry }) => registry)].map((registry) => registry.recover({ graceMs: 0 })),
  )
  for (const other of others) await other.close()
  assert.equal(await preparedIn(world.a), [])
  for (const [index, gid] of gids.entries()) assert.is(await stored(world, gid), index % 2 === 0 ? 1 : 0)
  assert.is(reports.flatMap(({ committed }) => committed).length, 6)
  assert.is(reports.flatMap(({ rolledBack }) => rolledBack).length, 6)
})

test('decisions are removed when nothing refers to them, by whoever sees every database that took part', async (world) => {
  await addIn(world.registry, ['a', 'writer', 'z'], 'settled')
  await addIn(world.registry, ['a', 'file'], 'settled')
  assert.equal([await decisionsIn(world.writer), await decisionsIn(world.file)], [['commit'], ['commit']])
  const two = await SeveralDatabases.again(world.several, ['a', 'writer'])
  await two.registry.recover({ graceMs: 0 })
  await two.close()
  assert.equal(await decisionsIn(world.writer), ['commit'], 'z took part and was not looked at')
  await world.registry.recover({ graceMs: 0 })
  assert.equal([await decisionsIn(world.writer), await decisionsIn(world.file)], [[], []])
})

test('the decision about what is still prepared stays', async (world) => {
  const held = world.a.wire!.hold(/^commit prepared/, 'request')
  const running = addIn(world.registry, ['a', 'writer'], 'finishing')
  await held.reached
  await world.registry.recover({ graceMs: 60_000 })
  assert.equal(await decisionsIn(world.writer), ['commit'])
  held.release()
  await running
  assert.is(await has(world.a, 'finishing'), 1)
})

test('a decision to abort goes after a day, unless a transaction as old could still run into it', async (world) => {
  const insert = (id: string) =>
    `insert into sqlassist_decision (id, decision, at) values ('${id}', 'abort', now() - interval '25 hours')`
  await world.writer.look.rows(insert('sqlassist:old'))
  await world.writer.look.rows(`insert into sqlassist_decision (id, decision) values ('sqlassist:new', 'abort')`)
  await world.file.look.rows(
    `insert into sqlassist_decision (id, decision, at) values ('sqlassist:old', 'abort', datetime('now', '-25 hours'))`,
  )
  await world.registry.recover({ graceMs: 0 })
  const ids = await world.writer.look.rows(`select id from sqlassist_decision where id like 'sqlassist:%'`)
  assert.equal(ids, [{ id: 'sqlassist:new' }])
  assert.equal(await decisionsIn(world.file), [])
})

test('what somebody else is finishing just now is left with the reason', async (world) => {
  const gid = await die(world, world.writer)
  const engines = ['a', 'writer'].map((role) => world.registry.engine(role))
  const prepared = engines[0]!.database.prepared!
  const { finish } = prepared
  prepared.finish = async () => {
    throw Object.assign(new Error('prepared transaction with identifier is busy'), { code: '55000' })
  }
  const report = await recoverOnce({ application: 'app', graceMs: 0, engines, obstacle: () => undefined })
  prepared.finish = finish
  assert.equal(report.left, [{ id: gid, role: 'a', reason: 'prepared transaction with identifier is busy' }])
})

test('called inside a unit of work that holds the only connection of a SQLite role, it leaves that role and does not hang', async (world) => {
  await die(world, world.file)
  const report = await world.registry.run(async ({ dbSession }: any) => {
    await dbSession.get('file').execute('select 1')
    return await world.registry.recover({ graceMs: 0 })
  })
  assert.match(report.left[0]!.reason, /"file" could not be asked: the unit of work that asks/)
})

test('recovery runs at the start and then periodically, and not after close()', async (world) => {
  const first = await die(world, world.writer, { decide: true })
  const two = await SeveralDatabases.again(world.several, ['a', 'writer'], {}, { recover: { everyMs: 10, graceMs: 0 } })
  await until(async () => (await preparedIn(world.a)).length === 0, 'the first run')
  const second = await die(world, world.writer)
  await until(async () => (await preparedIn(world.a)).length === 0, 'a later run')
  assert.equal([await stored(world, first), await stored(world, second)], [1, 0])
  await two.close()
  const third = await die(world, world.writer)
  world.writer.wire!.reset()
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(await preparedIn(world.a), [third])
  assert.equal(world.writer.wire!.sql(), [])
})

test('what is too young at the start is looked at again when it is old enough, however long the period', async (world) => {
  await die(world, world.writer, { decide: true })
  const two = await SeveralDatabases.again(
    world.several,
    ['a', 'writer'],
    {},
    { recover: { everyMs: 3_600_000, graceMs: 100 } },
  )
  await until(async () => (await preparedIn(world.a)).length === 0, 'the second run')
  await two.close()
})

test('what is left in doubt is warned of once, that of another application never', async (world) => {
  await die(world, world.writer, { database: 'unknown-here' })
  await die(world, world.writer, { application: 'billing' })
  const seen = await warnings('SQLASSIST_IN_DOUBT', async () => {
    const two = await SeveralDatabases.again(
      world.several,
      ['a', 'writer'],
      {},
      { recover: { everyMs: 5, graceMs: 0 } },
    )
    world.a.wire!.reset()
    await until(() => world.a.wire!.sql().filter((sql) => sql.includes('pg_prepared_xacts')).length > 3)
    await two.close()
  })
  assert.is(seen.length, 1)
  assert.match(seen[0]!.message, /:unknown-here:.*role "a".*in doubt/)
})

test('recover() after close() throws; a wrong grace period is refused', async (world) => {
  const two = await SeveralDatabases.again(world.several, ['a', 'writer'])
  assert.match((await rejection(two.registry.recover({ graceMs: -1 }))).message, /graceMs is -1/)
  await two.close()
  assert.match((await rejection(two.registry.recover())).message, /closed/)
})

test.run()
