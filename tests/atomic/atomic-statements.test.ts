import * as assert from 'uvu/assert'
import { Author } from '../support/entities.ts'
import { recordStatements } from '../support/recording.ts'
import { addIn, decisionsIn, has, preparedIn, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'

const ID = String.raw`sqlassist:app:\w+:[\w-]{12}:[\w-]{22}`

/** What varies from one commit to the next is not part of a statement. */
function plain(sql: string): string {
  return sql
    .replace(new RegExp(`${ID}:(\\w+)`), 'ID:$1')
    .replace(new RegExp(ID), 'ID')
    .replaceAll(/=[\w-]{12}(?=[ '])/g, '')
    .replace(/^insert into "author".*/, 'insert into author')
}

const DURABLY = `select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') in ('off', 'local')`
const WORK = ['begin', 'insert into author']
const prepared = (role: string) => [
  ...WORK,
  'set constraints all immediate',
  'set local role none',
  `prepare transaction 'ID:${role}'`,
  `commit prepared 'ID:${role}'`,
]
/** The participants stand in the decision by their roles and the names of their databases. */
const decided = (roles: string) => [
  ...WORK,
  'set constraints all immediate',
  'set local role none',
  DURABLY,
  `insert into public.sqlassist_decision (id, decision, participants) values ('ID', 'commit', '${roles}')`,
  'commit',
]

const test = suite<{ several: SeveralDatabases }>('statements of a commit over several databases')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({
    a: 'postgresql',
    writer: 'postgresql',
    z: 'postgresql',
    file: 'sqlite',
  })
})
test.before.each(async ({ several }) => await several.reset())
test.after(async ({ several }) => await several.close())

function sent({ several }: { several: SeveralDatabases }): Record<string, string[]> {
  return Object.fromEntries(several.places.flatMap(({ role, wire }) => (wire ? [[role, wire.sql().map(plain)]] : [])))
}

test('one changed database among several that were used: a plain COMMIT, and not one statement more', async (world) => {
  const registry = await world.several.warmRegistry()
  await registry.run(async ({ dbSession }: any) => {
    await dbSession.get('writer').count(Author)
    await dbSession.get('a').insert(Author, { name: 'one' })
    assert.ok(dbSession.get('z'))
  })
  const { a, writer, z } = sent(world)
  assert.equal(a, [...WORK, 'commit'])
  assert.equal(z, [])
  assert.is(writer?.[0], 'begin')
  assert.is(writer?.at(-1), 'rollback')
  assert.is(writer?.length, 3)
})

test('two changed databases: the default role decides, the other is prepared', async (world) => {
  await addIn(await world.several.warmRegistry(), ['a', 'writer'], 'both')
  assert.equal(sent(world), { a: prepared('a'), writer: decided('a'), z: [] })
  for (const role of ['a', 'writer']) assert.is(await has(world.several.place(role), 'both'), 1)
})

test('three changed databases: two are prepared', async (world) => {
  await addIn(await world.several.warmRegistry(), ['z', 'a', 'writer'], 'all')
  assert.equal(sent(world), { a: prepared('a'), writer: decided('z a'), z: prepared('z') })
})

test('without the default role the first in the order of the roles decides', async (world) => {
  await addIn(await world.several.warmRegistry(), ['z', 'a'], 'both')
  assert.equal(sent(world), { a: decided('z'), writer: [], z: prepared('z') })
})

test('twoPhase: false decides; twoPhase: true is prepared, though it be the default', async (world) => {
  await addIn(await world.several.warmRegistry({}, { z: { twoPhase: false } }), ['a', 'writer', 'z'], 'all')
  assert.equal(sent(world), { a: prepared('a'), writer: prepared('writer'), z: decided('a writer') })
  await world.several.reset()
  await addIn(await world.several.warmRegistry({}, { writer: { twoPhase: true } }), ['a', 'writer'], 'both')
  assert.equal(sent(world), { a: decided('writer'), writer: prepared('writer'), z: [] })
})

test('with SQLite changed, SQLite decides', async (world) => {
  const file = world.several.place('file')
  const registry = await world.several.warmRegistry()
  const recording = await recordStatements(file.target)
  recording.watch(await file.orm.em.getConnection().getNativeClient())
  await addIn(registry, ['writer', 'a', 'file'], 'all')
  await recording.close()
  assert.equal(sent(world), { a: prepared('a'), writer: prepared('writer'), z: [] })
  const statements = recording.sql()
  assert.is(statements[0], 'begin immediate')
  assert.match(statements[1]!, /^insert into `author`/)
  assert.match(plain(statements[2]!), /^insert into sqlassist_decision .* values \('ID', 'commit', 'writer a'\)$/)
  assert.equal(statements.slice(3), ['commit'])
  assert.equal(await decisionsIn(file), ['commit'])
})

test('two databases wait for three round trips beyond the work: PREPARE, decision with COMMIT, COMMIT PREPARED', async (world) => {
  const registry = await world.several.warmRegistry()
  await addIn(registry, ['a', 'writer'], 'both')
  const trips = (role: string) =>
    world.several
      .place(role)
      .wire!.trips()
      .map(({ messages }) => messages.map((text) => text.split(';').at(-1)!.trim().split("'")[0]))
  assert.equal(trips('a').slice(1), [['prepare transaction '], ['commit prepared ']])
  assert.equal(trips('writer').slice(1), [['commit']])
})

test('PREPARE goes to all at the same time, and COMMIT PREPARED as well', async (world) => {
  const registry = await world.several.warmRegistry()
  for (const statement of [/prepare transaction/, /^commit prepared/]) {
    const holds = ['a', 'z'].map((role) => world.several.place(role).wire!.hold(statement, 'request'))
    const running = addIn(registry, ['a', 'writer', 'z'], 'all')
    await Promise.all(holds.map(({ reached }) => reached))
    for (const hold of holds) hold.release()
    await running
  }
  assert.is(await has(world.several.place('z'), 'all'), 2)
})

test('the id of a prepared transaction names application, deciding role and role, and fits', async (world) => {
  const registry = await world.several.warmRegistry({ name: 'my-shop.eu' })
  const { wire } = world.several.place('a')
  const held = wire!.hold(/^commit prepared/, 'request')
  const running = addIn(registry, ['a', 'writer'], 'both')
  await held.reached
  const [gid] = await preparedIn(world.several.place('a'))
  const database = await world.several
    .place('writer')
    .look.value(`select decision from sqlassist_decision where id = 'database'`)
  assert.match(gid!, new RegExp(`^sqlassist:my-shop\\.eu:writer:${String(database)}:[\\w-]{22}:a$`))
  held.release()
  await running
})

test.run()
