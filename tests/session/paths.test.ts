import * as assert from 'uvu/assert'
import {
  defineEntity,
  LockMode,
  p,
  raw,
  ref,
  Routine,
  sql as fragment,
  TransactionPropagation,
  wrap,
} from '@mikro-orm/core'
import { sql } from 'kysely'
import { EngineRegistry, OutsideTransactionError } from '../../source/index.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS, newDatabase, openOrm, type Dialect, type TestOrm } from '../support/orms.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { recordStatements, type Recording } from '../support/recording.ts'
import { suite } from '../support/suite.ts'

const Writer = defineEntity({
  name: 'Writer',
  properties: {
    id: p.integer().primary(),
    name: p.string(),
    bio: p.text().lazy().nullable(),
    version: p.integer().version(),
    stories: () => p.oneToMany(Story).mappedBy('writer'),
  },
})
const Story = defineEntity({
  name: 'Story',
  properties: {
    id: p.integer().primary(),
    title: p.string(),
    writer: () => p.manyToOne(Writer).ref().nullable(),
    topics: () => p.manyToMany(Topic),
  },
})
const Topic = defineEntity({
  name: 'Topic',
  properties: { id: p.integer().primary(), label: p.string().unique() },
})

const answer = new Routine({
  name: 'answer',
  type: 'function',
  params: {},
  returns: { runtimeType: 'number', columnType: 'int' },
  body: 'select 42',
  language: 'sql',
  bodyJs: () => 42,
})

type Em = any
interface Path {
  readonly name: string
  readonly run: (em: Em, world: World) => unknown
  /** Whether it makes the session one to commit. Default false. */
  readonly changes?: boolean
  /** Sends nothing. */
  readonly silent?: boolean
}

interface World {
  dialect: Dialect
  orm: TestOrm
  look: SecondLook
  registry: EngineRegistry<{ writer: TestOrm }>
  recording: Recording
}

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(rows)
}

const PATHS: readonly Path[] = [
  { name: 'em.find', run: (em) => em.find(Writer, {}) },
  { name: 'em.findAll', run: (em) => em.findAll(Writer) },
  { name: 'em.findOne', run: (em) => em.findOne(Writer, 1) },
  { name: 'em.findOneOrFail', run: (em) => em.findOneOrFail(Writer, 1) },
  { name: 'em.findAndCount', run: (em) => em.findAndCount(Writer, {}) },
  { name: 'em.findByCursor', run: (em) => em.findByCursor(Writer, { first: 1, orderBy: { id: 'asc' } }) },
  { name: 'em.find with disableIdentityMap', run: (em) => em.find(Writer, {}, { disableIdentityMap: true }) },
  { name: 'em.find from the read connection', run: (em) => em.find(Writer, {}, { connectionType: 'read' }) },
  { name: 'em.find with populate', run: (em) => em.find(Writer, {}, { populate: ['stories.topics'] }) },
  {
    name: 'em.find with select-in populate',
    run: (em) => em.find(Writer, {}, { populate: ['stories'], strategy: 'select-in' }),
  },
  { name: 'em.count', run: (em) => em.count(Writer) },
  { name: 'em.countBy', run: (em) => em.countBy(Story, 'writer') },
  { name: 'em.refresh', run: async (em) => em.refresh(await em.findOne(Writer, 1)) },
  { name: 'em.populate', run: async (em) => em.populate(await em.find(Writer, {}), ['stories']) },
  { name: 'em.lock, optimistic', run: async (em) => em.lock(await em.findOne(Writer, 1), LockMode.OPTIMISTIC, 1) },
  { name: 'em.lock, pessimistic', run: async (em) => em.lock(await em.findOne(Writer, 1), LockMode.PESSIMISTIC_WRITE) },
  {
    name: 'em.findOne with a pessimistic lock',
    run: (em) => em.findOne(Writer, 1, { lockMode: LockMode.PESSIMISTIC_WRITE }),
  },
  { name: 'persist and flush', changes: true, run: (em) => em.persist(em.create(Writer, { name: 'new' })).flush() },
  { name: 'persist alone', changes: true, run: (em) => em.persist(em.create(Writer, { name: 'new' })) },
  {
    name: 'a changed property',
    changes: true,
    run: async (em) => void ((await em.findOne(Writer, 1)).name = 'changed'),
  },
  { name: 'the same value assigned', run: async (em) => void ((await em.findOne(Writer, 1)).name = 'Ada') },
  { name: 'an empty flush', silent: true, run: (em) => em.flush() },
  { name: 'remove and flush', changes: true, run: async (em) => em.remove(await em.findOne(Topic, 3)).flush() },
  { name: 'em.insert', changes: true, run: (em) => em.insert(Writer, { name: 'inserted' }) },
  { name: 'em.insertMany', changes: true, run: (em) => em.insertMany(Writer, [{ name: 'one' }, { name: 'two' }]) },
  { name: 'em.nativeUpdate', changes: true, run: (em) => em.nativeUpdate(Writer, { id: 2 }, { name: 'native' }) },
  { name: 'em.nativeDelete', changes: true, run: (em) => em.nativeDelete(Topic, { id: 3 }) },
  { name: 'em.upsert', changes: true, run: (em) => em.upsert(Topic, { label: 'upserted' }) },
  { name: 'em.upsertMany', changes: true, run: (em) => em.upsertMany(Topic, [{ label: 'sea' }, { label: 'new' }]) },
  { name: 'em.clone', changes: true, run: async (em) => em.clone(Topic, { id: 1 }, { label: 'cloned' }) },
  { name: 'a builder that reads', run: (em) => em.createQueryBuilder(Writer).where({ id: 1 }).getResult() },
  { name: 'a builder that counts', run: (em) => em.createQueryBuilder(Writer).getCount() },
  { name: 'a builder that streams', run: (em) => all(em.createQueryBuilder(Writer).stream()) },
  {
    name: 'a builder that inserts',
    changes: true,
    run: (em) => em.createQueryBuilder(Topic).insert({ label: 'built' }).execute(),
  },
  {
    name: 'a builder that updates',
    changes: true,
    run: (em) => em.createQueryBuilder(Topic).update({ label: 'up' }).where({ id: 2 }).execute(),
  },
  {
    name: 'a builder that deletes',
    changes: true,
    run: (em) => em.createQueryBuilder(Topic).delete().where({ id: 3 }).execute(),
  },
  { name: 'em.getRepository().find', run: (em) => em.getRepository(Writer).find({}) },
  {
    name: 'em.getRepository().insert',
    changes: true,
    run: (em) => em.getRepository(Topic).insert({ label: 'repository' }),
  },
  { name: 'em.execute that reads', run: (em) => em.execute('select * from writer') },
  { name: 'em.execute of a raw fragment', run: (em) => em.execute(raw('select * from writer where id = ?', [1])) },
  { name: 'Kysely that reads', run: (em) => em.getKysely().selectFrom('writer').selectAll().execute() },
  {
    name: 'Kysely with the naming plugin',
    run: (em) => em.getKysely({ columnNamingStrategy: 'property' }).selectFrom('writer').selectAll().execute(),
  },
  { name: 'Kysely raw sql that reads', run: (em) => sql`select 1`.execute(em.getKysely()) },
  { name: 'Kysely that streams', run: (em) => all(em.getKysely().selectFrom('writer').selectAll().stream()) },
  {
    name: 'Kysely that inserts',
    changes: true,
    run: (em) => em.getKysely().insertInto('topic').values({ label: 'kysely' }).execute(),
  },
  {
    name: 'Kysely that updates',
    changes: true,
    run: (em) => em.getKysely().updateTable('topic').set({ label: 'up' }).where('id', '=', 2).execute(),
  },
  {
    name: 'Kysely that deletes',
    changes: true,
    run: (em) => em.getKysely().deleteFrom('topic').where('id', '=', 3).execute(),
  },
  { name: 'em.stream', run: (em) => all(em.stream(Writer)) },
  {
    name: 'a stream left half way',
    run: async (em) => {
      for await (const _ of em.stream(Writer)) break
    },
  },
  {
    name: 'relations of streamed entities',
    async run(em) {
      const stories = await all<any>(em.stream(Story, { orderBy: { id: 'asc' } }))
      assert.is((await stories[0].writer.loadOrFail()).name, 'Ada')
    },
  },
  { name: 'Collection.init', run: async (em) => (await em.findOne(Writer, 1)).stories.init() },
  { name: 'Collection.loadItems', run: async (em) => (await em.findOne(Writer, 1)).stories.loadItems() },
  { name: 'Collection.loadCount', run: async (em) => (await em.findOne(Writer, 1)).stories.loadCount() },
  {
    name: 'Collection.matching',
    run: async (em) => (await em.findOne(Story, 1)).topics.matching({ where: { id: 1 } }),
  },
  {
    name: 'an m:n collection, loaded and left alone',
    run: async (em) => {
      await (await em.findOne(Story, 1)).topics.init()
    },
  },
  {
    name: 'an m:n collection, changed',
    changes: true,
    run: async (em) => {
      const { topics } = await em.findOne(Story, 1, { populate: ['topics'] })
      topics.remove(topics[0])
    },
  },
  { name: 'Reference.load', run: async (em) => (await em.findOne(Story, 1)).writer.load() },
  { name: 'wrap(entity).init', run: (em) => wrap(em.getReference(Writer, 2)).init() },
  { name: 'a lazy scalar', run: async (em) => em.populate(await em.findOne(Writer, 1), ['bio']) },
  {
    name: 'references by the dataloader',
    async run(em) {
      const stories = await em.find(Story, {})
      await Promise.all(stories.map((story: any) => story.writer.load({ dataloader: true })))
    },
  },
  {
    name: 'collections by the dataloader',
    async run(em) {
      const writers = await em.find(Writer, {})
      await Promise.all(writers.map((writer: any) => writer.stories.load({ dataloader: true })))
    },
  },
  { name: 'a routine', run: async (em) => assert.is(await em.callRoutine(answer, {}), 42) },
  {
    name: 'em.fork with keepTransactionContext',
    run: (em) => em.fork({ keepTransactionContext: true }).find(Writer, {}),
  },
  { name: 'em.getConnection().execute', run: (em) => em.getConnection().execute('select 1') },
  {
    name: 'em.getConnection().execute on the read connection',
    run: (em) => em.getConnection('read').execute('select ?', [1], 'all'),
  },
  { name: 'em.getConnection().stream', run: (em) => all(em.getConnection().stream('select * from writer')) },
  {
    name: 'em.getConnection().getClient()',
    run: (em) => em.getConnection().getClient().selectFrom('writer').selectAll().execute(),
  },
  {
    name: 'em.transactional',
    changes: true,
    run: (em) => em.transactional((nested: Em) => nested.insert(Topic, { label: 'nested' })),
  },
  {
    name: 'em.transactional, required',
    changes: true,
    run: (em) => em.transactional((same: Em) => same.insert(Topic, { label: 'required' }), { propagation: 'required' }),
  },
  {
    name: 'em.transactional, mandatory',
    run: (em) =>
      em.transactional((same: Em) => same.find(Topic, {}), { propagation: TransactionPropagation.MANDATORY }),
  },
  {
    name: 'em.transactional in em.transactional',
    changes: true,
    run: (em) =>
      em.transactional((outer: Em) => outer.transactional((inner: Em) => inner.insert(Topic, { label: 'twice' }))),
  },
  { name: 'orm.em.find', run: (_, { orm }) => orm.em.find(Writer, {}) },
  {
    name: 'orm.em.persist and flush',
    changes: true,
    run: (_, { orm }) => (orm.em as Em).persist((orm.em as Em).create(Topic, { label: 'global' })).flush(),
  },
  { name: 'a repository of orm.em', run: (_, { orm }) => orm.em.getRepository(Writer).findAll() },
  {
    name: 'orm.em.transactional',
    changes: true,
    run: (_, { orm }) => orm.em.transactional((nested: Em) => nested.insert(Topic, { label: 'global nested' })),
  },
  {
    name: 'orm.em.getKysely',
    run: (_, { orm }) => (orm.em as Em).getKysely().selectFrom('writer').selectAll().execute(),
  },
  { name: 'orm.em.stream', run: (_, { orm }) => all(orm.em.stream(Writer)) },
  { name: 'a fragment in a builder', run: (em) => em.find(Writer, { [fragment`lower(name)`]: 'ada' }) },
  { name: 'ref() to a row and its load', run: (em) => ref(em.getReference(Writer, 1) as object)?.load() },
  { name: 'the driver without a context', run: (em) => em.getDriver().execute('select 1') },
  { name: 'driver.find without a context', run: (em) => em.getDriver().find(Writer, {}) },
]

interface Escape {
  readonly name: string
  readonly run: (em: Em, world: World) => unknown
}

const ESCAPES: readonly Escape[] = [
  { name: 'em.fork()', run: (em) => em.fork() },
  { name: 'em.fork({ clear: false })', run: (em) => em.fork({ clear: false }) },
  { name: 'orm.em.fork()', run: (_, { orm }) => orm.em.fork() },
  {
    name: "propagation 'requires_new'",
    run: (em) => em.transactional(() => undefined, { propagation: 'requires_new' }),
  },
  {
    name: "propagation 'not_supported'",
    run: (em) => em.transactional(() => undefined, { propagation: 'not_supported' }),
  },
  {
    name: "orm.em, propagation 'requires_new'",
    run: (_, { orm }) => orm.em.transactional(() => undefined, { propagation: 'requires_new' as never }),
  },
  { name: 'orm.schema.execute', run: (_, { orm }) => orm.schema.execute('create table escaped (id int)') },
  {
    name: 'the driver connection without a context',
    run: (_, { orm }) => orm.driver.getConnection().execute('select 1'),
  },
]

for (const dialect of DIALECTS) {
  const test = suite<World>(`paths on ${dialect}`)

  test.before(async (world) => {
    const target = await newDatabase(dialect)
    world.dialect = dialect
    world.recording = await recordStatements(target)
    world.orm = await openOrm(target, {
      via: world.recording.via,
      config: { entities: [Writer, Story, Topic], routines: [answer] },
    })
    world.recording.watch(await world.orm.em.getConnection().getNativeClient())
    world.look = await secondLook(target)
    world.registry = new EngineRegistry({ writer: world.orm })
  })
  test.before.each(async ({ look }) => {
    for (const table of ['story_topics', 'story', 'topic', 'writer']) await look.rows(`delete from ${table}`)
    await look.rows(`insert into writer (id, name, bio, version) values (1, 'Ada', 'b', 1), (2, 'Bob', 'b', 1)`)
    await look.rows(`insert into topic (id, label) values (1, 'sea'), (2, 'land'), (3, 'air')`)
    await look.rows(`insert into story (id, title, writer_id) values (1, 'one', 1), (2, 'two', 2)`)
    await look.rows(`insert into story_topics (story_id, topic_id) values (1, 1), (1, 2)`)
    if (dialect === 'postgresql') {
      for (const table of ['story', 'topic', 'writer']) await look.rows(`select setval('${table}_id_seq', 10)`)
    }
  })
  test.after(async ({ registry, look, recording }) => {
    await registry.close()
    await look.close()
    await recording.close()
  })

  async function contents(look: SecondLook): Promise<string> {
    const rows: unknown[] = []
    for (const table of ['writer', 'story', 'topic', 'story_topics']) {
      rows.push(await look.rows(`select * from ${table} order by 1, 2`))
    }
    return JSON.stringify(rows)
  }

  for (const { name, run, changes = false, silent = false } of PATHS) {
    test(`${name} runs in the one transaction of its session`, async (world) => {
      const before = await contents(world.look)
      let during = ''
      world.recording.reset()
      await world.registry.run(async ({ dbSession }) => {
        await run(dbSession.writer, world)
        during = await contents(world.look)
      })
      await ormsIdle(world.orm)
      assert.is(during, before, 'nothing is visible before the end')
      assert.is((await contents(world.look)) !== before, changes, 'committed exactly if it changed something')
      const sent = world.recording.sql()
      if (silent) return assert.equal(sent, [])
      assert.match(sent[0] ?? 'nothing was sent', /^begin/)
      assert.is(sent.filter((statement) => /^begin/i.test(statement)).length, 1, sent.join('\n'))
      assert.is(sent.at(-1), changes ? 'commit' : 'rollback')
      assert.is(world.recording.connections(), 1)
    })
  }

  for (const { name, run } of ESCAPES) {
    test(`${name} is refused before anything is sent, and says what to use`, async (world) => {
      await world.registry.run(async ({ dbSession }) => {
        await dbSession.writer.count(Writer)
        world.recording.reset()
        try {
          await run(dbSession.writer, world)
          assert.unreachable('it was not refused')
        } catch (error) {
          assert.instance(error, OutsideTransactionError)
          assert.match((error as Error).message, /"writer".*registry\.run\(\)/s)
        }
        assert.equal(world.recording.sql(), [])
        await dbSession.writer.count(Writer)
      })
    })
  }

  test('outside of any unit of work the ORM is as it was', async ({ orm }) => {
    assert.is(await orm.em.fork().count(Writer), 2)
    await orm.em.fork().transactional((em) => em.count(Writer), { propagation: 'requires_new' as never })
    assert.is((await orm.em.getConnection().execute('select 1 as one'))[0]?.one, 1)
  })

  test.run()
}
