import * as assert from 'uvu/assert'
import type { SqlEntityManager } from '@mikro-orm/sql'
import {
  EngineRegistry,
  getByColumnExactThenIlike,
  getByColumnLower,
  getByColumnSimilar,
  getById,
  getByIds,
  getRange,
  MoreThanOneError,
  QueryArgumentError,
  sessionOf,
  UnknownColumnError,
} from '../../source/index.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { Chapter, LIBRARY, Novel, NovelRepository, Writer } from './library-entities.ts'

interface World {
  orm: TestOrm
  look: SecondLook
  registry: EngineRegistry<any>
  em: SqlEntityManager
  end(): Promise<void>
  sent: string[]
  close(): Promise<void>
}

const TITLES = ['Emma', 'emma', 'Ulysses', 'EMMA and me', '100% true', '100 true', 'a_b', 'aXb', 'back\\slash', 'wow!']
const KEY = '0b7e4f5e-6a6c-4b57-9d0f-1f2e3d4c5b6a'

for (const dialect of DIALECTS) {
  const test = suite<World>(`utility queries, ${dialect}`)

  test.before(async (world) => {
    const sent: string[] = []
    const logger = (line: string) => void sent.push(line)
    const config = { entities: LIBRARY, debug: ['query'], logger, colors: false }
    Object.assign(world, await openDatabase(dialect, { config }), { sent })
    world.registry = new EngineRegistry({ writer: world.orm })
    await world.registry.run(({ dbSession }) => {
      const em = dbSession.writer as SqlEntityManager
      em.create(Writer, { id: 1, name: 'Jane', place: { city: 'Bath' } })
      em.create(Writer, { id: 2, name: 'Ann', place: { city: 'York' } })
      for (const [index, title] of TITLES.entries()) {
        em.create(Novel, { id: index + 1, title, body: `text ${title}`, pages: 5 - (index % 3), writer: 1, key: KEY })
      }
      for (const number of [1, 2, 3]) em.create(Chapter, { language: 'de', number, heading: 'Same', novel: null })
    })
  })
  test.before.each(async (world) => {
    const unit = world.registry.start({ owner: {}, anyPreference: [], disableTransaction: false })
    await unit.tm.begin()
    world.em = unit.session('writer').em
    world.end = () => unit.abort('doomed')
    world.sent.length = 0
  })
  test.after.each(({ end }) => end())
  test.after((world) => world.close())

  const titles = (found: { title: string }[]) => found.map(({ title }) => title)

  test('getById finds by key, also by one of several columns, and asks the identity map first', async ({
    em,
    sent,
  }) => {
    const novel = await getById(em, Novel, 3)
    assert.is(novel?.title, 'Ulysses')
    assert.is(sessionOf(novel as object), em)
    const statements = sent.length
    assert.is(await getById(em, Novel, 3), novel)
    assert.is(sent.length, statements)
    assert.is(await getById(em, Novel, 99), null)
    assert.is((await getById(em, Chapter, ['de', 2]))?.number, 2)
    assert.is(await getById(em, Chapter, ['fr', 2]), null)
  })

  test('getById and getByIds look in the column that idColumn names', async ({ em }) => {
    assert.is((await getById(em, Novel, 'Ulysses', { idColumn: 'title' }))?.id, 3)
    assert.is(await getById(em, Novel, 'Nothing', { idColumn: 'title' }), null)
    assert.is(await getById(em, Novel, 'Emma\0', { idColumn: 'title' }), null)
    assert.is((await getById(em, Novel, 3, { idColumn: undefined }))?.id, 3)
    // Several novels have so many pages: the first by primary key.
    assert.is((await getById(em, Novel, 4, { idColumn: 'pages' }))?.id, 2)
    const ids = async (names: string[]) => (await getByIds(em, Novel, names, { idColumn: 'title' })).map(({ id }) => id)
    assert.equal(await ids(['Ulysses', 'Nothing', 'Emma', 'Ulysses']), [3, 1])
    assert.equal(
      (await getByIds(em, Novel, [3, 5], { idColumn: 'pages' })).map(({ id }) => id),
      [3, 6, 9, 1, 4, 7, 10],
    )
    const repository = em.getRepository(Novel)
    assert.is((await repository.getById('Emma', { idColumn: 'title' }))?.id, 1)
    assert.equal((await repository.getByIds(['Emma'], { idColumn: 'title' })).length, 1)
    const created = new Date('2026-01-02T03:04:05.678Z')
    assert.is((await getByIds(em, Novel, [created], { idColumn: 'createdAt' })).length, 10)
  })

  test('getById and getByIds refuse a column that does not exist, and what is no value', async ({ em }) => {
    for (const ask of [
      () => getById(em, Novel, 1, { idColumn: 'id; drop table novel' as never }),
      () => getByIds(em, Novel, [1], { idColumn: 'session' as never }),
    ]) {
      assert.instance(await rejection(ask()), UnknownColumnError)
    }
    for (const id of [null, undefined, { $ne: 'x' }, ['Emma']]) {
      assert.instance(await rejection(getById(em, Novel, id as never, { idColumn: 'title' })), QueryArgumentError)
      assert.instance(await rejection(getByIds(em, Novel, [id as never], { idColumn: 'title' })), QueryArgumentError)
    }
  })

  test('getByIds keeps the order asked for, gives each once, and leaves out what is not there', async ({
    em,
    sent,
  }) => {
    assert.equal(
      (await getByIds(em, Novel, [3, 1, 99, 3, 2])).map(({ id }) => id),
      [3, 1, 2],
    )
    const chapters = await getByIds(em, Chapter, [
      ['de', 3],
      ['de', 1],
      ['de', 7],
    ])
    assert.equal(
      chapters.map(({ number }) => number),
      [3, 1],
    )
    sent.length = 0
    assert.equal(await getByIds(em, Novel, []), [])
    assert.equal(sent, [])
    const many = Array.from({ length: 12_000 }, (_, index) => 12_000 - index)
    assert.equal(
      (await getByIds(em, Novel, many)).map(({ id }) => id),
      [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
    )
    assert.is(sent.filter((line) => line.includes('select')).length, 3)
  })

  test('a key that is no key is refused, and nothing is sent', async ({ em, sent }) => {
    const before = sent.length
    for (const id of [
      undefined,
      null,
      {},
      { $ne: null },
      [1],
      Number.NaN,
      /x/,
      () => 1,
      Object.create(null),
    ] as any[]) {
      for (const ask of [() => getById(em, Novel, id), () => getByIds(em, Novel, [1, id])]) {
        const error = await rejection(ask())
        assert.instance(error, QueryArgumentError)
        assert.is((error as QueryArgumentError).code, 'SQLASSIST_QUERY_ARGUMENT')
      }
    }
    for (const id of ['de', ['de'], ['de', 1, 2], ['de', { $gt: 0 }], { language: 'de', number: 1 }] as any[]) {
      assert.match((await rejection(getById(em, Chapter, id))).message, /argument id .*language, number/)
    }
    assert.match(
      (await rejection(getByIds(em, Novel, 'all' as any))).message,
      /ids has to be an array, and it is "all"/,
    )
    assert.is(sent.length, before)
  })

  test('getByColumnLower finds one whatever its case, and more than one is an error', async ({ em }) => {
    const found = await getByColumnLower(em, Novel, 'title', 'uLYSSES')
    assert.is(found?.id, 3)
    assert.is(sessionOf(found as object), em)
    assert.is(found, await getById(em, Novel, 3), 'the entity of the identity map')
    assert.is(await getByColumnLower(em, Novel, 'title', 'Ulysse'), null)
    assert.is(await getByColumnLower(em, Novel, 'title', 'u%'), null)
    const error = await rejection(getByColumnLower(em, Novel, 'title', 'Emma', { many: false }))
    assert.instance(error, MoreThanOneError)
    assert.is((error as MoreThanOneError).code, 'SQLASSIST_MORE_THAN_ONE')
    assert.match(error.message, /More than one Novel .* title.*many: true/)
  })

  test('getByColumnLower finds many, in the order of their keys, by page', async ({ em }) => {
    const ids = async (more: object) =>
      (await getByColumnLower(em, Novel, 'title', 'EMMA', { many: true, ...more })).map(({ id }) => id)
    assert.equal(await ids({}), [1, 2])
    assert.equal(await ids({ offset: 1 }), [2])
    assert.equal(await ids({ limit: 1 }), [1])
    assert.equal(await ids({ limit: 0 }), [])
    assert.equal(await getByColumnLower(em, Novel, 'title', 'none', { many: true }), [])
  })

  test('a column that the database has not as text is compared as text', async ({ em }) => {
    assert.is((await getByColumnLower(em, Novel, 'key', KEY.toUpperCase(), { many: true })).length, TITLES.length)
    assert.is((await getByColumnSimilar(em, Novel, 'key', KEY.slice(0, 9))).length, TITLES.length)
    assert.is((await getByColumnLower(em, Novel, 'pages' as any, '3', { many: true })).length, 3)
    assert.is((await getRange(em, Novel, { orderBy: 'key', caseSensitive: false, limit: 1 }))[0]?.id, 1)
  })

  test('getByColumnSimilar finds by prefix or anywhere, in the order of the column', async ({ em }) => {
    const similar = async (seed: string, more: object = {}) =>
      titles(await getByColumnSimilar(em, Novel, 'title', seed, more))
    assert.equal((await similar('EMM')).toSorted(), ['EMMA and me', 'Emma', 'emma'])
    assert.equal(await similar('mma'), [])
    assert.equal((await similar('mm', { match: 'anywhere' })).toSorted(), ['EMMA and me', 'Emma', 'emma'])
    assert.equal((await similar('')).length, TITLES.length)
    assert.equal(await similar('', { offset: 1, limit: 2 }), (await similar('')).slice(1, 3))
    assert.equal(await similar('', { offset: 8 }), (await similar('')).slice(8))
    assert.equal(await similar('', { match: undefined, limit: undefined }), await similar(''))
    assert.is((await getByColumnSimilar(em, Novel, 'body', 'TEXT e')).length, 3, 'a lazy column')
  })

  test('%, _, ! and \\ of a seed stand for themselves', async ({ em }) => {
    const similar = async (seed: string) =>
      titles(await getByColumnSimilar(em, Novel, 'title', seed, { match: 'anywhere' }))
    assert.equal(await similar('%'), ['100% true'])
    assert.equal(await similar('0% T'), ['100% true'])
    assert.equal(await similar('_'), ['a_b'])
    assert.equal(await similar('A_B'), ['a_b'])
    assert.equal(await similar('\\'), ['back\\slash'])
    assert.equal(await similar('\\s'), ['back\\slash'])
    assert.equal(await similar('!'), ['wow!'])
    assert.equal(await similar('!%'), [])
    assert.equal(await similar('W!'), ['wow!'])
  })

  test('getByColumnExactThenIlike prefers the exact one, and asks again only where there is none', async ({
    em,
    sent,
  }) => {
    const find = (seed: string) => getByColumnExactThenIlike(em, Novel, 'title', seed)
    assert.is((await find('emma'))?.id, 2)
    assert.is(sent.filter((line) => line.includes('select')).length, 1)
    assert.is((await find('Emma'))?.id, 1)
    assert.is((await find('eMMa'))?.id, 1, 'the first by key')
    assert.is((await find('ULYSSES'))?.id, 3)
    assert.is(await find('u%'), null)
    assert.is(await find('a_B'), await find('a_b'))
    assert.is((await find('A_B'))?.title, 'a_b', '_ stands for itself')
  })

  test('getRange orders by key where nothing is said, and by several columns otherwise', async ({ em }) => {
    const ids = async (options: object) => (await getRange(em, Novel, options)).map(({ id }) => id)
    assert.equal(await ids({}), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert.equal(await ids({ direction: 'desc', limit: 3 }), [10, 9, 8])
    assert.equal(await ids({ offset: 2, limit: 3 }), [3, 4, 5])
    assert.equal(await ids({ offset: 8 }), [9, 10])
    assert.equal(await ids({ offset: 100, limit: 1 }), [])
    assert.equal(await ids({ limit: 0 }), [])
    assert.equal(await ids({ orderBy: [] }), await ids({}))
    assert.equal(await ids({ orderBy: 'pages' }), [3, 6, 9, 2, 5, 8, 1, 4, 7, 10], 'equal ones by key')
    assert.equal(await ids({ orderBy: ['pages', 'id'], direction: 'desc' }), [10, 7, 4, 1, 8, 5, 2, 9, 6, 3])
    assert.equal(await ids({ orderBy: ['writer', 'pages', 'title'], limit: 3, caseSensitive: false }), [6, 9, 3])
    assert.equal(
      (await getRange(em, Chapter, { orderBy: ['heading'], direction: 'desc' })).map(({ number }) => number),
      [3, 2, 1],
    )
    assert.equal(
      (await getRange(em, Writer, { orderBy: 'place_city' as any, direction: 'desc' })).map(({ id }) => id),
      [2, 1],
    )
  })
  test('getRange orders text without regard to case where told to', async ({ em }) => {
    const only = { title: { $in: ['Emma', 'emma', 'EMMA and me'] } }
    const ids = async (options: object) =>
      (await getRange(em, Novel, { orderBy: 'title', filters: only, ...options })).map(({ id }) => id)
    assert.equal(await ids({ caseSensitive: false }), [1, 2, 4])
    assert.equal(await ids({ caseSensitive: false, direction: 'desc' }), [4, 2, 1])
    if (dialect === 'sqlite') assert.equal(await ids({}), [4, 1, 2])
    const chapters = await getRange(em, Chapter, { orderBy: ['language', 'heading'], caseSensitive: false })
    assert.is(chapters.length, 3)
  })

  test('getRange filters as MikroORM does', async ({ em }) => {
    const ids = async (filters: any) => (await getRange(em, Novel, { filters })).map(({ id }) => id)
    assert.equal(await ids({ pages: { $gt: 4 } }), [1, 4, 7, 10])
    assert.equal(await ids({ $or: [{ title: 'Emma' }, { $not: { pages: { $gt: 3 } } }] }), [1, 3, 6, 9])
    assert.equal(await ids({ writer: { name: 'Jane' }, id: [1, 2] }), [1, 2])
    assert.equal(await ids({ writer_id: 2 }), [], 'the column by its own name')
    assert.equal(await ids({ writer: { place: { city: 'Bath' } }, id: 1 }), [1])
    assert.equal(await getRange(em, Writer, { filters: { 'place.city': 'Bath' } as any }).then((all) => all.length), 1)
    assert.equal(await ids([1, 5]), [1, 5], 'a list of keys')
  })

  test('a bad offset, limit, direction, match or text is an error that says so', async ({ em, sent }) => {
    const before = sent.length
    for (const bad of [-1, 1.5, Number.NaN, Infinity, '5', null, {}, 2 ** 60] as any[]) {
      for (const name of ['offset', 'limit']) {
        const page = { [name]: bad }
        for (const ask of [
          () => getRange(em, Novel, page),
          () => getByColumnSimilar(em, Novel, 'title', 'x', page),
          () => getByColumnLower(em, Novel, 'title', 'x', { many: true, ...page }),
        ]) {
          const error = await rejection(ask())
          assert.instance(error, QueryArgumentError)
          assert.ok(
            error.message.startsWith(`The argument ${name} has to be a whole number from 0, and it is`),
            error.message,
          )
        }
      }
    }
    for (const [ask, message] of [
      [() => getRange(em, Novel, { direction: 'up' as any }), /direction has to be 'asc' or 'desc', and it is "up"/],
      [() => getByColumnSimilar(em, Novel, 'title', 'x', { match: 'suffix' as any }), /match has to be 'prefix' or/],
      [
        () => getByColumnSimilar(em, Novel, 'title', { $ne: '' } as any),
        /seed has to be a string, and it is an object/,
      ],
      [() => getByColumnLower(em, Novel, 'title', 5 as any), /search has to be a string, and it is 5/],
      [() => getByColumnExactThenIlike(em, Novel, 'title', null as any), /seed has to be a string, and it is null/],
    ] as const) {
      const error = await rejection(ask())
      assert.instance(error, QueryArgumentError)
      assert.match(error.message, message)
    }
    assert.is(sent.length, before)
  })

  test('a column that does not exist is an error that lists those that do', async ({ em, sent }) => {
    const before = sent.length
    for (const ask of [
      (name: any) => getByColumnLower(em, Novel, name, 'x'),
      (name: any) => getByColumnSimilar(em, Novel, name, 'x'),
      (name: any) => getByColumnExactThenIlike(em, Novel, name, 'x'),
      (name: any) => getRange(em, Novel, { orderBy: name }),
      (name: any) => getRange(em, Novel, { orderBy: ['title', name] }),
    ]) {
      for (const name of [
        'tittle',
        'writers',
        'note',
        'shout',
        'session',
        'created_at',
        '__proto__',
        'constructor',
        7,
      ]) {
        const error = await rejection(ask(name))
        assert.instance(error, UnknownColumnError)
        assert.is((error as UnknownColumnError).code, 'SQLASSIST_UNKNOWN_COLUMN')
        assert.ok(
          error.message.endsWith('Its columns are id, title, createdAt, summary, body, pages, key, writer, editor.'),
          error.message,
        )
      }
    }
    assert.is(sent.length, before)
  })

  test('the repository asks the same, in the session that it was got from', async ({ em }) => {
    const novels = em.getRepository(Novel)
    assert.instance(novels, NovelRepository)
    const [novel] = await novels.getRange({ limit: 1 })
    assert.is(novel, await novels.getById(1))
    assert.is(sessionOf(novel as object), em)
    assert.equal(titles(await novels.getByIds([2, 1])), ['emma', 'Emma'])
    assert.is((await novels.getByColumnLower('title', 'ULYSSES'))?.id, 3)
    assert.is((await novels.getByColumnLower('title', 'EMMA', { many: true })).length, 2)
    assert.is((await novels.getByColumnSimilar('title', 'em', { limit: 2 })).length, 2)
    assert.is((await novels.getByColumnExactThenIlike('title', 'ULYSSES'))?.id, 3)
    assert.is(novels.getEntityManager(), em)
  })

  test('an entity manager that is no session will do', async (world) => {
    await world.end()
    world.end = async () => undefined
    const em = world.orm.em.fork() as SqlEntityManager
    assert.is((await getById(em, Novel, 1))?.title, 'Emma')
    assert.is((await getByColumnSimilar(em, Novel, 'title', 'EMMA ')).length, 1)
  })

  if (dialect === 'postgresql') {
    test('an index on lower() serves the searches', async ({ em, look }) => {
      await look.rows(`create index by_lower on novel (lower(title) text_pattern_ops)`)
      await em.execute('set local enable_seqscan = off')
      await em.execute('set local enable_sort = off')
      const plan = async (where: string) =>
        JSON.stringify(await em.execute(`explain select * from novel as n0 where ${where}`))
      assert.match(await plan(`lower(n0.title) = lower('Emma')`), /by_lower/)
      assert.match(await plan(`lower(n0.title) like lower('Emm%') escape '!'`), /by_lower.*~>=~/s)
    })
  }

  test.run()
}
