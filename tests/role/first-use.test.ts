/** The first use of an ORM that has not connected yet, or whose pool was dropped, by every way into a session. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { clearTables } from '../support/authors.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, newDatabase, openOrm, type Dialect, type TestOrm } from '../support/orms.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { sqliteFile } from '../support/sqlite.ts'
import { suite } from '../support/suite.ts'

type Em = any

async function count(rows: AsyncIterable<unknown>): Promise<number> {
  let counted = 0
  for await (const _ of rows) counted++
  return counted
}

const authors = (em: Em) => em.getKysely().selectFrom('author').selectAll()
const countInside = (em: Em): Promise<number> => em.transactional((inner: Em) => inner.count(Author))

/** What a request may begin with; each returns how many authors it found. */
const WAYS: Record<string, (em: Em) => Promise<number>> = {
  'em.count()': (em) => em.count(Author),
  'em.transactional()': countInside,
  'two of em.transactional() at once': async (em) => (await Promise.all([countInside(em), countInside(em)]))[1],
  'em.getKysely()': async (em) => (await authors(em).execute()).length,
  'a stream of em.getKysely()': (em) => count(authors(em).stream()),
  'em.stream()': (em) => count(em.stream(Author)),
  'a stream of a query builder': (em) => count(em.createQueryBuilder(Author).stream()),
  'em.execute()': async (em) => (await em.execute('select * from author')).length,
  'em.getConnection().execute()': async (em) => (await em.getConnection().execute('select * from author')).length,
  'em.stream() beside a flush': async (em) => (await Promise.all([count(em.stream(Author)), em.flush()]))[0],
  'em.getKysely() beside em.transactional()': async (em) =>
    (await Promise.all([authors(em).execute(), countInside(em)]))[1],
}

const WRITES: Record<string, (em: Em) => Promise<unknown>> = {
  'em.stream() beside a flush that writes': (em) => Promise.all([em.flush(), count(em.stream(Author))]),
  'em.getKysely() beside a flush that writes': (em) => Promise.all([em.flush(), authors(em).execute()]),
  'em.transactional() beside a flush that writes': (em) => Promise.all([em.flush(), countInside(em)]),
}

const ROLES: Record<string, Omit<EngineOptions, 'orm'>> = {
  joined: {},
  autonomous: { commit: 'autonomous' },
  autocommit: { commit: 'autocommit' },
  reading: { readOnly: true },
  snapshot: { readOnly: 'snapshot' },
}

interface World {
  dialect: Dialect
  target: string
  look: SecondLook
}

type Options = Omit<EngineOptions, 'orm'>
type TestRegistry = EngineRegistry<{ role: EngineOptions<TestOrm> }>

/** A registry over an ORM that has not connected yet. */
async function coldRegistry(target: string, options: Options): Promise<TestRegistry> {
  return new EngineRegistry({ role: { orm: await openOrm(target, { hasSchema: true }), ...options } })
}

/** Two requests at once. */
async function findTwice(registry: TestRegistry, way: (em: Em) => Promise<number>, name: string): Promise<void> {
  const found = await Promise.all([1, 2].map(() => registry.run(({ dbSession }) => way(dbSession.role))))
  assert.equal(found, [2, 2], name)
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`first uses on ${dialect}`)

  test.before(async (world) => {
    world.dialect = dialect
    world.target = await newDatabase(dialect)
    await (await openOrm(world.target)).close(true)
    world.look = await secondLook(world.target)
  })
  test.before.each(async ({ look }) => {
    await clearTables(look)
    await look.rows(`insert into author (name) values ('one'), ('two')`)
  })
  test.after(async ({ look }) => await look.close())

  for (const [role, options] of Object.entries(ROLES)) {
    // On PostgreSQL a pool that was dropped is the same, and sooner there.
    for (const [name, way] of dialect === 'sqlite' ? Object.entries(WAYS) : []) {
      test(`a role that is ${role} and has not connected yet serves requests that begin with ${name}`, async ({
        target,
      }) => {
        await using registry = await coldRegistry(target, options)
        await findTwice(registry, way, name)
      })
    }

    for (const drop of ['dispose', 'reinit'] as const) {
      test(`a role that is ${role} serves requests after ${drop}(), by each way into a session`, async ({ target }) => {
        await using registry = await coldRegistry(target, options)
        for (const [name, way] of Object.entries(WAYS)) {
          await registry[drop]()
          await findTwice(registry, way, name)
        }
      })
    }
  }

  for (const role of ['joined', 'autonomous', 'autocommit']) {
    test(`a role that is ${role} and has no connection stores what is written beside other uses`, async (world) => {
      await using registry = await coldRegistry(world.target, ROLES[role]!)
      for (const [name, way] of Object.entries(WRITES)) {
        await registry.run(async ({ dbSession }) => {
          dbSession.role.create(Author, { name })
          await way(dbSession.role)
        })
        assert.is(await world.look.value(`select count(*) from author where name = '${name}'`), 1)
        await registry.dispose()
      }
    })
  }

  test.run()
}

const attached = suite('first uses of attached databases')

for (const [role, options] of Object.entries(ROLES)) {
  for (const [name, query] of Object.entries({
    'em.getKysely()': (em: Em) => em.getKysely().selectFrom('shelf.word').selectAll().execute(),
    'em.execute()': (em: Em) => em.execute('select * from shelf.word'),
  })) {
    attached(
      `requests that come first, at once, find an attached database by ${name} of a role that is ${role}`,
      async () => {
        const file = sqliteFile('shelf')
        const look = await secondLook(file)
        await look.rows('create table word (id integer primary key)')
        await look.rows('insert into word values (1)')
        await look.close()
        const orm = await openOrm(await newDatabase('sqlite'), {
          hasSchema: true,
          config: { attachDatabases: [{ name: 'shelf', path: file }] },
        })
        await using registry = new EngineRegistry({ role: { orm, ...options } })
        const found = await Promise.all([1, 2, 3].map(() => registry.run(({ dbSession }) => query(dbSession.role))))
        assert.equal(found, [[{ id: 1 }], [{ id: 1 }], [{ id: 1 }]])
      },
    )
  }
}

attached.run()
