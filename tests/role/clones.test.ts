/** Databases that are copies of one another: same system identifier, same numbers, same tables, and not the same database. */
import { copyFile } from 'node:fs/promises'
import * as assert from 'uvu/assert'
import { EngineRegistry, type RecoveryReport } from '../../source/index.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../support/embedded-postgres.ts'
import { openOrm } from '../support/orms.ts'
import { secondLook } from '../support/second-look.ts'
import { addIn, decisionsIn, has, preparedIn, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  servers: EmbeddedPostgres[]
  several: SeveralDatabases
}

const NOW = { graceMs: 0 }
const COMMIT_PREPARED = /^commit prepared/

const test = suite<World>('recovery where databases are copies of one another')

/** `copy` is on a copy of the server of `original`, made when that had taken part and decided already. */
test.before(async (world) => {
  const first = await startEmbeddedPostgres()
  const look = await secondLook(first.url)
  for (const name of ['shard', 'other']) await look.rows(`create database ${name}`)
  await look.close()
  const targets = { original: databaseOn(first, 'shard'), a: databaseOn(first, 'other') }
  const before = await SeveralDatabases.open({ original: 'postgresql', a: 'postgresql' }, targets)
  await (await before.warmRegistry()).close()
  await before.close()
  world.servers = [first, await first.copy()]
  const [original, copy] = world.servers.map((server) => databaseOn(server, 'shard')) as [string, string]
  world.several = await SeveralDatabases.open(
    { a: 'postgresql', original: 'postgresql', copy: 'postgresql', file: 'sqlite' },
    { original, copy },
  )
  await (await world.several.warmRegistry()).close()
})
test.before.each(async ({ several }) => await several.reset())
test.after(async ({ several, servers }) => {
  await several.close()
  for (const server of servers) await server.stop()
})

const databaseOn = ({ url }: EmbeddedPostgres, name: string): string => url.replace(/postgres$/, name)

/** In how many of the places it is, which has to be all or none. */
async function inAll({ several }: World, places: readonly string[], name: string): Promise<boolean> {
  const counts = await Promise.all(places.map((place) => has(several.place(place), name)))
  assert.ok(new Set(counts).size === 1, `half a commit: ${places.join()} have ${counts.join()}`)
  return counts[0] === 1
}

for (const [decider, lost, roles, who] of [
  ['a', ['original', 'copy'], ['a', 'original', 'copy'], 'the same process'],
  ['a', ['copy', 'original'], ['a', 'original', 'copy'], 'another process'],
  ['original', ['copy', 'a'], ['original', 'copy', 'a'], 'another process'],
  ['copy', ['a', 'original'], ['copy', 'original', 'a'], 'the same process'],
] as const) {
  test(`two copies in a commit that ${decider} decides, ${lost.join(' back before ')}, by ${who}: committed in each`, async (world) => {
    const { several } = world
    const same = Object.fromEntries(roles.map((role) => [role, role]))
    const registry = await several.elsewhere(same)
    const other = who === 'the same process' ? registry : await several.elsewhere(same)
    const wires = lost.map((role) => several.place(role).wire!)
    const holds = wires.map((wire) => wire.hold(COMMIT_PREPARED, 'request'))
    await warnings('SQLASSIST_LEFT_PREPARED', async () => {
      const running = addIn(registry, roles, 'money')
      await Promise.all(holds.map(({ reached }) => reached))
      for (const wire of wires) await wire.down()
      for (const hold of holds) hold.release()
      await running
    })
    for (const wire of wires) {
      for (let time = 0; time < 2; time++) await other.recover(NOW)
      assert.equal(await decisionsIn(several.place(decider)), ['commit'], 'it is needed until all are finished')
      await wire.up()
    }
    assert.equal((await other.recover(NOW)).left, [])
    assert.is(await inAll(world, roles, 'money'), true)
    await other.recover(NOW)
    assert.equal(await decisionsIn(several.place(decider)), [], 'nothing needs it any more')
    for (const each of new Set([registry, other])) await each.close()
  })
}

let count = 0

/** The name of a place's database since its server was started, or the one that its copies have as well. */
async function nameOf({ several }: World, place: string, which: 'own' | 'shared' = 'own'): Promise<string> {
  const rows = await several
    .place(place)
    .look.rows(
      `select decision from sqlassist_decision where id like 'database%' order by at ${which === 'own' ? 'desc' : 'asc'} limit 1`,
    )
  return String(rows[0]!['decision'])
}

/** Prepares a row in `place` as a commit does that died afterwards; `decided`: when it had been decided. Its id. */
async function die(
  world: World,
  decider: string,
  place: string,
  decided: boolean,
  which: 'own' | 'shared' = 'own',
): Promise<string> {
  const { several } = world
  const id = `sqlassist:app:${decider}:${await nameOf(world, decider, which)}:${String(++count).padStart(22, '0')}`
  const { look } = several.place(place)
  await look.rows('begin')
  await look.rows(`insert into author (name) values ('${id}')`)
  await look.rows(`prepare transaction '${id}:${place}'`)
  if (!decided) return id
  const participants = `${place}=${await nameOf(world, place, which)}`
  await several
    .place(decider)
    .look.rows(
      `insert into sqlassist_decision (id, decision, participants) values ('${id}', 'commit', '${participants}')`,
    )
  return id
}

async function settledBy(world: World, roles: Record<string, string>): Promise<RecoveryReport> {
  const registry = await world.several.elsewhere(roles)
  try {
    return await registry.recover(NOW)
  } finally {
    await registry.close()
  }
}

for (const [what, roles] of [
  ['the role leads to a copy', { a: 'a', original: 'copy' }],
  ['another role leads to a copy', { a: 'a', writer: 'copy' }],
  ['the roles lead to one another', { a: 'a', original: 'copy', copy: 'original' }],
  ['the role is missing', { a: 'a' }],
] as const) {
  test(`in a process where ${what} a decision stays while the original has something prepared and is down`, async (world) => {
    const { several } = world
    const id = await die(world, 'a', 'original', true)
    await several.place('original').wire!.down()
    for (let time = 0; time < 2; time++) await settledBy(world, roles)
    assert.equal(await decisionsIn(several.place('a')), ['commit'])
    await several.place('original').wire!.up()
    assert.is((await settledBy(world, { a: 'a', original: 'original' })).committed.length, 1)
    assert.is(await has(several.place('original'), id), 1)
  })

  test(`in a process where ${what} nothing is taken for undecided while the original, which decides, is down`, async (world) => {
    const { several } = world
    const [yes, no] = [await die(world, 'original', 'a', true), await die(world, 'original', 'a', false)]
    await several.place('original').wire!.down()
    const { committed, rolledBack, left } = await settledBy(world, roles)
    assert.equal([committed, rolledBack], [[], []])
    assert.is(left.filter(({ id }) => id !== undefined).length, 2)
    assert.is((await preparedIn(several.place('a'))).length, 2)
    await several.place('original').wire!.up()
    await settledBy(world, { a: 'a', original: 'original' })
    assert.equal([await has(several.place('a'), yes), await has(several.place('a'), no)], [1, 0])
  })
}

test('what was prepared before the copy was made is settled in the place of the original, and left to it by a copy', async (world) => {
  const { several } = world
  const no = await die(world, 'original', 'a', false, 'shared')
  const yes = await die(world, 'a', 'original', true, 'shared')
  await several.place('original').wire!.down()
  for (let time = 0; time < 2; time++) {
    const { committed, rolledBack } = await settledBy(world, { a: 'a', original: 'copy' })
    assert.equal([committed, rolledBack], [[], []])
  }
  assert.equal(await decisionsIn(several.place('a')), ['commit'])
  await several.place('original').wire!.up()
  for (let time = 0; time < 2; time++) await settledBy(world, { a: 'a', original: 'original' })
  assert.equal([await has(several.place('a'), no), await has(several.place('original'), yes)], [0, 1])
  assert.equal(await decisionsIn(several.place('a')), [])
})

test('a database that decides is known as long as its server runs, whatever its role and whatever else is a copy', async (world) => {
  const [yes, no] = [await die(world, 'original', 'a', true), await die(world, 'original', 'a', false)]
  const report = await settledBy(world, { a: 'a', original: 'copy', renamed: 'original' })
  assert.equal([report.committed.length, report.rolledBack.length, report.left], [1, 1, []])
  assert.equal([await has(world.several.place('a'), yes), await has(world.several.place('a'), no)], [1, 0])
  assert.equal(await decisionsIn(world.several.place('copy')), [], 'nothing is written into a copy')
})

test('two roles of one database take part and are finished apart', async (world) => {
  const { several } = world
  const registry = await several.elsewhere({ a: 'a', original: 'original', again: 'original' })
  await addIn(registry, ['a', 'original', 'again'], 'one database')
  assert.is(await has(several.place('original'), 'one database'), 2)
  await registry.recover(NOW)
  assert.equal(await decisionsIn(several.place('a')), [])
  await registry.close()
})

test('a copy of a SQLite file does not decide for the original, under its role either', async (world) => {
  const { several } = world
  const [a, file] = [several.place('a'), several.place('file')]
  const copy = `${file.target}.copy`
  await file.look.rows('pragma wal_checkpoint(truncate)')
  await copyFile(file.target, copy)
  const [yes, no] = [await die(world, 'file', 'a', true), await die(world, 'file', 'a', false)]
  const registry = new EngineRegistry<any>(
    { a: await openOrm(a.target, { contextName: 'a' }), file: await openOrm(copy, { contextName: 'file' }) },
    { recover: false },
  )
  const { left } = await registry.recover(NOW)
  assert.equal(
    left.map(({ reason }) => /"file" may be a copy of it/.test(reason)),
    [true, true],
  )
  await addIn(registry as never, ['a', 'file'], 'the copy decides for itself')
  await registry.close()
  await settledBy(world, { a: 'a', file: 'file' })
  assert.equal([await has(a, yes), await has(a, no)], [1, 0])
})

async function restartOriginal({ several, servers }: World): Promise<void> {
  const place = several.place('original')
  await place.look.close()
  await servers[0]!.restart()
  Object.assign(place, { look: await secondLook(place.target) })
}

test('after a restart of the server that decides, the role of the commit is believed, and another one if it has a commit', async (world) => {
  const { several } = world
  const [yes, no] = [await die(world, 'original', 'a', true), await die(world, 'original', 'a', false)]
  const kept = await die(world, 'a', 'original', true)
  await restartOriginal(world)
  const renamed = await settledBy(world, { a: 'a', renamed: 'original' })
  assert.equal([renamed.committed.length, renamed.rolledBack.length], [2, 0])
  assert.match(renamed.left[0]!.reason, /"renamed" may be a copy of it/)
  const report = await settledBy(world, { a: 'a', original: 'original' })
  assert.equal([report.rolledBack.length, report.left], [1, []])
  assert.equal([await has(several.place('a'), yes), await has(several.place('a'), no)], [1, 0])
  assert.is(await has(several.place('original'), kept), 1)
  await settledBy(world, { a: 'a', original: 'original' })
  assert.equal(await decisionsIn(several.place('original')), ['abort'])
  assert.equal(await decisionsIn(several.place('a')), [], 'the participant was started again, and is told by its role')
})

test.run()
