import * as assert from 'uvu/assert'
import { wrap } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { EngineRegistry, sessionOf } from '../../source/index.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import type { SecondLook } from '../support/second-look.ts'
import { ormsIdle } from '../support/leaks.ts'
import { suite } from '../support/suite.ts'
import { Chapter, LIBRARY, Novel, Portrait, Scroll, Writer } from './library-entities.ts'

interface World {
  orm: TestOrm
  look: SecondLook
  registry: EngineRegistry<any>
  /** Statements since the last look. */
  sent: string[]
  close(): Promise<void>
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`declared table, ${dialect}`)

  test.before(async (world) => {
    const sent: string[] = []
    const logger = (line: string) => void sent.push(line)
    const config = { entities: LIBRARY, debug: ['query'], logger, colors: false }
    Object.assign(world, await openDatabase(dialect, { config }), { sent })
    world.registry = new EngineRegistry({ writer: world.orm })
    await world.registry.run(({ dbSession }) => {
      const em = dbSession.writer as SqlEntityManager
      const place = { city: 'Ulm', zip: null }
      em.create(Writer, { id: 1, name: 'Ada', password: 's3cret', place, former: { city: 'Bonn', zip: '53' } })
      em.create(Writer, { id: 2, name: 'Bob' })
      em.create(Portrait, { id: 1, writer: 1 })
      em.create(Novel, { id: 1, title: 'First', summary: 'short', body: 'long', pages: 3, writer: 1, editor: 2 })
      const chapter = em.create(Chapter, { language: 'de', number: 1, heading: 'Anfang', novel: 1 })
      em.create(Scroll, { id: 1, text: 'abc', chapter })
    })
  })
  // What a unit only read is rolled back behind its answer, and logged then.
  test.after.each(({ orm }) => ormsIdle(orm))
  test.after((world) => world.close())

  const within = async (world: World, work: (em: SqlEntityManager) => Promise<void>) => {
    await world.registry.run(({ dbSession }) => work(dbSession.writer as SqlEntityManager))
  }

  test('what is loaded is given by the names of the properties, references as keys, embedded objects by part', (world) =>
    within(world, async (em) => {
      const novel = await em.findOneOrFail(Novel, 1)
      world.sent.length = 0
      assert.equal(novel.loadedColumnsAsDict(), {
        id: 1,
        title: 'First',
        createdAt: new Date('2026-01-02T03:04:05.678Z'),
        pages: 3,
        key: null,
        writer: 1,
        editor: 2,
      })
      assert.equal(novel.loadedColumnsAsList(), ['id', 'title', 'createdAt', 'pages', 'key', 'writer', 'editor'])
      assert.equal(novel.loadedColumnsAsList({ withValues: true })[1], ['title', 'First'])
      assert.equal(Object.fromEntries(novel.loadedColumnsAsList({ withValues: true })), novel.loadedColumnsAsDict())
      assert.equal(novel.loadedColumnsAsList({ withValues: false }), novel.loadedColumnsAsList())
      assert.equal(world.sent, [], 'nothing was sent')

      const writer = await em.findOneOrFail(Writer, 1)
      const { former, ...rest } = writer.loadedColumnsAsDict()
      assert.equal(rest, { id: 1, name: 'Ada', password: 's3cret', place_city: 'Ulm', place_zip: null })
      assert.equal({ ...(former as object) }, { city: 'Bonn', zip: '53' })
      const without = await em.findOneOrFail(Writer, 2)
      assert.is(without.loadedColumnsAsDict()['former'], null)
    }))

  test('lazy columns are loaded by columnsAsDict, in one statement, and by nothing else', (world) =>
    within(world, async (em) => {
      const novel = await em.findOneOrFail(Novel, 1)
      novel.loadedColumnsAsDict()
      assert.is(novel.summary, undefined)
      assert.is(novel.body?.isInitialized(), false)
      world.sent.length = 0
      const columns = await novel.columnsAsDict()
      assert.is(world.sent.length, 1, world.sent.join('\n'))
      assert.is(columns['summary'], 'short')
      assert.is(columns['body'], 'long')
      assert.is(Object.keys(columns).length, 9)
      assert.equal(novel.loadedColumnsAsDict(), columns)
      assert.equal(await novel.columnsAsDict(), columns)
      assert.is(world.sent.length, 1, 'what is loaded is not asked for again')
    }))

  test('columnsAsDict neither flushes nor loses what was changed', (world) =>
    within(world, async (em) => {
      const novel = await em.findOneOrFail(Novel, 1)
      novel.title = 'Changed'
      em.create(Novel, { title: 'Pending', body: null })
      world.sent.length = 0
      const columns = await novel.columnsAsDict()
      assert.is(columns['title'], 'Changed')
      assert.is(columns['summary'], 'short')
      assert.is(world.sent.length, 1, world.sent.join('\n'))
      em.getUnitOfWork().computeChangeSets()
      assert.equal(
        em
          .getUnitOfWork()
          .getChangeSets()
          .filter(({ entity }) => entity === novel)
          .map(({ payload }) => payload),
        [{ title: 'Changed' }],
      )
      em.clear()
    }))

  test('a partly loaded entity and one that is only a reference tell what they have', (world) =>
    within(world, async (em) => {
      const partly = await em.findOneOrFail(Novel, 1, { fields: ['title'] })
      assert.equal(partly.loadedColumnsAsDict(), { id: 1, title: 'First' })
      const reference = em.getReference(Writer, 1)
      assert.equal(reference.loadedColumnsAsDict(), { id: 1 })
      assert.is((await reference.columnsAsDict())['place_city'], 'Ulm')
      assert.is((await partly.columnsAsDict())['pages'], 3)
    }))

  test('a class that extends it has it too, with keys of several columns', (world) =>
    within(world, async (em) => {
      const chapter = await em.findOneOrFail(Chapter, { language: 'de', number: 1 })
      assert.equal(chapter.loadedColumnsAsDict(), { language: 'de', number: 1, heading: 'Anfang', pages: 10, novel: 1 })
      assert.is(chapter.upper(), 'ANFANG')
      const scroll = await em.findOneOrFail(Scroll, 1)
      assert.equal(await scroll.columnsAsDict(), { id: 1, text: 'abc', chapter: ['de', 1] })
      assert.is(scroll.length(), 3)
      em.clear()
      const partly = await em.findOneOrFail(Chapter, { language: 'de', number: 1 }, { fields: ['heading'] })
      assert.is((await partly.columnsAsDict())['pages'], 10)
    }))

  test('a reference stands on the side that has the column', (world) =>
    within(world, async (em) => {
      const portrait = await em.findOneOrFail(Portrait, 1)
      assert.equal(portrait.loadedColumnsAsDict(), { id: 1, writer: 1 })
      const writer = await em.findOneOrFail(Writer, 1, { populate: ['portrait'] })
      assert.is(writer.portrait, portrait)
      assert.not.ok(writer.loadedColumnsAsList().includes('portrait'))
    }))

  test('what is null in the database is loaded, also where the ORM gives it out as undefined', async () => {
    const { orm, close } = await openDatabase(dialect, { config: { entities: LIBRARY, forceUndefined: true } })
    const em = orm.em.fork() as SqlEntityManager
    em.create(Novel, { id: 1, title: 'First', body: null })
    await em.flush()
    em.clear()
    const novel = await em.findOneOrFail(Novel, 1)
    assert.is(novel.pages, undefined)
    assert.ok(novel.loadedColumnsAsList().includes('pages'))
    assert.not.ok(novel.loadedColumnsAsList().includes('summary'))
    await close()
  })

  test('an entity of no session gives what it has, and undefined for the rest', async ({ orm }) => {
    const em = orm.em.fork() as SqlEntityManager
    const novel = em.create(Novel, { title: 'New', body: null }, { persist: false })
    assert.is((await novel.columnsAsDict())['title'], 'New')
    assert.is((await novel.columnsAsDict())['summary'], undefined)
    assert.ok(novel.loadedColumnsAsList().includes('title'))
    assert.not.ok(novel.loadedColumnsAsList().includes('id'))
    assert.is(novel.session, undefined)
    assert.is(novel.request, undefined)
  })

  test('session and request are those of the unit of work, asked anew each time', async ({ registry }) => {
    const owner = { the: 'request' }
    const unit = registry.start({ owner, anyPreference: [], disableTransaction: false })
    await unit.tm.begin()
    const em: any = unit.session('writer').em
    const novel: any = await em.findOneOrFail(Novel, 1)
    const chapter = await em.findOneOrFail(Chapter, { language: 'de', number: 1 })
    for (const entity of [novel, chapter]) {
      assert.is(entity.session, em)
      assert.is(entity.session, sessionOf(entity))
      assert.is(entity.request, owner)
    }
    await unit.abort('doomed')
  })

  test('DeclaredTable adds nothing to the schema', async ({ orm, look }) => {
    const columns = dialect === 'sqlite' ? `pragma_table_info('chapter')` : 'information_schema.columns'
    const where = dialect === 'sqlite' ? '' : ` where table_name = 'chapter'`
    assert.is(await look.value(`select count(*) from ${columns}${where}`), 5)
    // a foreign key of two columns is one more thing that MikroORM reads back otherwise from SQLite
    assert.not.match(await orm.schema.getUpdateSchemaSQL(), /chapter`? (add|drop)|session|request/)
  })

  test('DeclaredTable adds nothing to serialised objects, or to a flush', (world) =>
    within(world, async (em) => {
      const chapter = await em.findOneOrFail(Chapter, { language: 'de', number: 1 })
      assert.is(
        JSON.stringify(chapter),
        '{"language":"de","number":1,"heading":"Anfang","pages":10,"novel":1}',
        'own properties alone',
      )
      assert.equal(Object.keys(wrap(await em.findOneOrFail(Writer, 2)).toObject()).toSorted(), [
        'former',
        'id',
        'name',
        'place',
        'portrait',
      ])
      assert.equal(Object.keys(chapter).toSorted(), ['heading', 'language', 'novel', 'number', 'pages'])
      assert.is(await em.findOne(Chapter, { language: 'de', number: 1 }), chapter)
      em.getUnitOfWork().computeChangeSets()
      assert.equal(em.getUnitOfWork().getChangeSets(), [])
    }))

  test.run()
}
