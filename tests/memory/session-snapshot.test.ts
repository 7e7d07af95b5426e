import { defineEntity, EntitySchema, helper, p, ref, wrap } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { SessionSnapshot } from '../../source/memory/session-snapshot.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import { suite } from '../support/suite.ts'
import {
  Author,
  Book,
  brief,
  fillTables,
  memoryOf,
  Note,
  openWorld,
  run,
  stateOf,
  Topic,
  type World,
} from './savepoint-world.ts'

/** Two savepoints' worth of going back, since what was put back once may be shared with what is put back next. */
const TWICE = ['once', 'twice'] as const

for (const dialect of DIALECTS) {
  const test = suite<World>(`entities at a savepoint on ${dialect}`)
  test.before(async (world) => void Object.assign(world, await openWorld(dialect)))
  test.before.each((world) => fillTables(world))
  test.after((world) => world.close())

  interface Excursion {
    /** Before the savepoint. What it answers is handed on. */
    readonly before: (em: any) => Promise<any>
    /** Between the savepoint and its rollback. */
    readonly change: (em: any, given: any) => unknown
    /** After the rollback; what it changes is what the commit is to write. */
    readonly after?: (em: any, given: any) => unknown
  }

  /** Goes away from a savepoint and back, twice, and compares the memory; the statements sent after the last rollback. */
  async function excursion(
    { registry, recording, orm }: World,
    { before, change, after }: Excursion,
  ): Promise<string[]> {
    await run(registry, false, async ({ em, txn }) => {
      const given = await before(em)
      const savepoint = await txn.savepoint()
      const memory = memoryOf(em)
      for (const _ of TWICE) {
        await change(em, given)
        await savepoint.rollback()
        assert.equal(memoryOf(em, memory), memory)
      }
      recording.reset()
      await after?.(em, given)
    })
    // The rollback of what only read is not waited for.
    await ormsIdle(orm)
    return brief(recording.sql())
  }

  const ada = (em: any): Promise<any> => em.findOneOrFail(Author, 1)

  test('nothing changed and nothing to write: the commit sends nothing but its end', async (world) => {
    const sent = await excursion(world, {
      before: (em) => em.find(Author, {}, { populate: ['books.topics', 'books.chapters', 'bio', 'photo'] }),
      change: () => undefined,
    })
    assert.equal(sent, ['rollback'])
  })

  test('embeddables come back as the same objects, whether changed, replaced or taken away', async (world) => {
    for (const change of [
      ({ address }: any) => (address.street = 'other'),
      (author: any) => (author.address = { street: 'new' }),
      (author: any) => (author.address = null),
      ({ places }: any) => (places[0].street = 'other'),
      ({ places }: any) => places.push({ street: 'one more' }),
      (author: any) => (author.places = []),
    ]) {
      let parts: unknown[] = []
      const sent = await excursion(world, {
        async before(em) {
          const author = await ada(em)
          parts = [author.address, author.places, author.places[0]]
          return author
        },
        change: (_, author) => change(author),
        after(_, author) {
          const now = [author.address, author.places, author.places[0]]
          assert.equal(
            now.map((part, index) => part === parts[index]),
            [true, true, true],
          )
        },
      })
      assert.equal(sent, ['rollback'])
    }
  })

  test('dates and JSON changed in place come back, flushed or not', async (world) => {
    const sent = await excursion(world, {
      async before(em) {
        const author = await ada(em)
        author.born = new Date(5)
        return author
      },
      async change(em, author) {
        author.born.setTime(6)
        author.settings.colours.push('blue')
        await em.flush()
        author.born.setTime(7)
        author.settings.deep = { deeper: [] }
      },
    })
    assert.equal(sent, ['commit'])
    const [author] = await world.look.rows('select settings from author order by id')
    const { settings } = author as { settings: string | { colours: string[] } }
    assert.is((typeof settings === 'string' ? JSON.parse(settings) : settings).colours.length, 1)
  })

  test('a version comes back, so that the next update finds its row', async (world) => {
    const sent = await excursion(world, {
      before: ada,
      async change(em, author) {
        author.name = 'changed'
        await em.flush()
        assert.is(author.version, 2)
      },
      after: (_, author) => void (author.name = 'the rest'),
    })
    assert.equal(sent, ['update author', 'commit'])
    assert.equal(await world.look.rows('select name, version from author where id = 1'), [
      { name: 'the rest', version: 2 },
    ])
  })

  test('a lazy scalar loaded later is unloaded again, and loads anew', async (world) => {
    await excursion(world, {
      before: ada,
      async change(em, author) {
        await em.nativeUpdate(Author, 1, { bio: 'changed', photo: 'changed' })
        await em.populate(author, ['bio'])
        await author.photo.load()
        assert.equal([author.bio, author.photo.unwrap()], ['changed', 'changed'])
      },
      async after(em, author) {
        assert.equal([author.bio, author.photo.isInitialized()], [undefined, false])
        await em.populate(author, ['bio'])
        assert.equal([author.bio, await author.photo.load()], ['long', 'face'])
      },
    })
  })

  test('a lazy scalar that was loaded comes back with its value, in the same wrapper', async (world) => {
    let photo: any
    const sent = await excursion(world, {
      async before(em) {
        const author = await ada(em)
        photo = author.photo
        await photo.load()
        return author
      },
      async change(em, author) {
        author.photo.set('other')
        await em.flush()
        author.photo.set('another')
      },
      after: (_, author) => assert.equal([author.photo === photo, photo.unwrap()], [true, 'face']),
    })
    assert.equal(sent, ['rollback'])
  })

  test('the holder of a lazy scalar that was loaded later reaches the one in its place', async (world) => {
    let held: any
    const sent = await excursion(world, {
      before: ada,
      async change(_, author) {
        held = author.photo
        await held.load()
      },
      after(_, author) {
        assert.equal([held === author.photo, held.isInitialized(), held.unwrap()], [false, false, undefined])
        held.set('by way of the old one')
      },
    })
    assert.equal(sent, ['update author', 'commit'])
    assert.is(await world.look.value('select photo from author where id = 1'), 'by way of the old one')
  })

  test('a collection that was loaded comes back as the same object, in the same order', async (world) => {
    let collections: any[] = []
    const sent = await excursion(world, {
      async before(em) {
        const author = await em.findOneOrFail(Author, 1, { populate: ['books.topics'] })
        collections = [author.books, author.books[0].topics]
        return author
      },
      async change(em, author) {
        const [one, two] = author.books
        one.topics.set([em.getReference(Topic, 3), one.topics[1]])
        author.books.set([two])
        await em.flush()
        author.books.add(one)
        one.topics.removeAll()
        two.topics.add(em.create(Topic, { label: 'new' }))
      },
      after(_, author) {
        assert.equal([author.books === collections[0], author.books[0].topics === collections[1]], [true, true])
        assert.equal(
          [author.books.getIdentifiers(), author.books[0].topics.getIdentifiers()],
          [
            [1, 2],
            [1, 2],
          ],
        )
        assert.equal([author.books[0].author === author, author.books.length], [true, 2])
      },
    })
    assert.equal(sent, ['rollback'])
  })

  test('a collection loaded later is unloaded again; its holder reaches the one in its place', async (world) => {
    let held: any
    await excursion(world, {
      before: (em) => em.findOneOrFail(Book, 3),
      async change(em, book) {
        held = book.topics
        await held.init()
        held.add(em.getReference(Topic, 1))
        await em.flush()
      },
      async after(em, book) {
        assert.equal([book.topics.isInitialized(), book.topics.getItems(false).length], [false, 0])
        assert.equal([held.isInitialized(), held[0], held.owner === book], [false, undefined, true])
        held.add(em.getReference(Topic, 2))
        assert.equal([book.topics.getItems(false).length, held.getItems(false).length], [1, 1])
        await held.init()
        assert.equal([[...held].map(({ id }) => id), held[0].id, held.length], [[2], 2, 1])
      },
    })
    assert.equal(await world.look.rows('select topic_id from book_topics where book_id = 3'), [{ topic_id: 2 }])
  })

  test('a collection that find() replaced by a loaded one is the unloaded one again', async (world) => {
    let unloaded: any
    await excursion(world, {
      async before(em) {
        const author = await ada(em)
        unloaded = author.books
        return author
      },
      async change(em, author) {
        await em.find(Author, {}, { populate: ['books'], strategy: 'joined', refresh: true })
        assert.ok(author.books.isInitialized())
      },
      after: (_, author) => assert.equal([author.books === unloaded, unloaded.isInitialized()], [true, false]),
    })
  })

  test('what was added to an unloaded collection before stays, what was added later does not', async (world) => {
    const sent = await excursion(world, {
      async before(em) {
        const book = await em.findOneOrFail(Book, 3)
        book.topics.add(em.getReference(Topic, 1))
        return book
      },
      async change(em, book) {
        book.topics.add(em.getReference(Topic, 2))
        await em.flush()
        book.topics.add(em.getReference(Topic, 3))
      },
    })
    assert.equal(sent, ['commit'])
    assert.equal(await world.look.rows('select topic_id from book_topics where book_id = 3'), [{ topic_id: 1 }])
  })

  test('a collection that matching() was stored in later may be changed again, one from before may not', async (world) => {
    for (const where of [{ id: 2 }, {}]) {
      await fillTables(world)
      const sent = await excursion(world, {
        before: (em) => em.findOneOrFail(Book, 1, { populate: ['topics'] }),
        change: (_, book) => book.topics.matching({ where, store: true }),
        after(_, book) {
          assert.equal(book.topics.getIdentifiers(), [1, 2])
          book.topics.remove(book.topics[0])
        },
      })
      assert.equal(sent, ['delete book_topics', 'commit'])
    }
    await excursion(world, {
      async before(em) {
        const book = await em.findOneOrFail(Book, 1)
        await book.topics.matching({ where: { id: 2 }, store: true })
        return book
      },
      change: (_, book) =>
        wrap(book)
          .populate(['topics'], { refresh: true })
          .catch(() => undefined),
      after: (_, { topics }) => assert.throws(() => topics.removeAll(), /readonly/),
    })
  })

  test('a part of a collection stays a part', async (world) => {
    const sent = await excursion(world, {
      async before(em) {
        const author = await ada(em)
        await author.books.init({ where: { id: 2 } })
        assert.equal([author.books.isPartial(), author.books.getIdentifiers()], [true, [2]])
        return author
      },
      async change(em, author) {
        await author.books.init()
        assert.equal([author.books.isPartial(), author.books.length], [false, 2])
        author.books.removeAll()
        await em.flush()
      },
    })
    assert.equal(sent, ['rollback'])
    assert.is(await world.look.value('select count(*) from book where author_id = 1'), 2)
  })

  test('a reference loaded later is a reference again, whose changes are written and which loads anew', async (world) => {
    const sent = await excursion(world, {
      before: (em) => em.findOneOrFail(Book, 1),
      async change(em, book) {
        await wrap(book.author).init()
        await book.editor.load()
        book.author.name = 'changed'
        await em.flush()
        await book.author.books.init()
      },
      async after(em, book) {
        assert.equal(
          [wrap(book.author).isInitialized(), book.author.name, book.editor.isInitialized()],
          [false, undefined, false],
        )
        book.author.name = 'as a reference'
        await em.flush()
        assert.is((await book.editor.load()).name, 'Bob')
      },
    })
    assert.equal(sent, ['update author', 'select author', 'commit'])
    assert.is(await world.look.value('select name from author where id = 1'), 'as a reference')
  })

  test('a relation moved to another entity points to the same one again, on both sides', async (world) => {
    const sent = await excursion(world, {
      before: (em) => em.find(Author, {}, { orderBy: { id: 'asc' }, populate: ['books'] }),
      async change(em, [one, two]) {
        one.books[0].author = two
        two.books[0].editor = ref(two)
        await em.flush()
        one.books[0].author = null
      },
      after(_, [one, two]) {
        assert.equal([one.books.getIdentifiers(), two.books.getIdentifiers()], [[1, 2], [3]])
        assert.equal([one.books[0].author === one, two.books[0].editor.unwrap() === one], [true, true])
      },
    })
    assert.equal(sent, ['rollback'])
  })

  test('removing what others refer to leaves no trace in them', async (world) => {
    const sent = await excursion(world, {
      before: (em) => em.find(Book, {}, { orderBy: { id: 'asc' }, populate: ['author.books', 'topics', 'chapters'] }),
      async change(em, [, , three]) {
        const { author } = three
        await em.nativeUpdate(Book, {}, { editor: null })
        em.remove(author)
        await em.flush()
        assert.is(three.author, undefined)
      },
      after: (_, [, , three]) => assert.equal([three.author.name, three.author.books[0] === three], ['Bob', true]),
    })
    assert.equal(sent, ['rollback'])
  })

  test('em.clear() later is undone as well', async (world) => {
    const sent = await excursion(world, {
      before: ada,
      async change(em, author) {
        em.clear()
        const other = await ada(em)
        assert.is.not(other, author)
        other.name = 'changed on the other'
        await em.flush()
      },
      after: (_, author) => void (author.name = 'the rest'),
    })
    assert.equal(sent, ['update author', 'commit'])
    assert.is(await world.look.value('select name from author where id = 1'), 'the rest')
  })

  test('an entity loaded later stays managed: it shows what the database holds, and its changes are written', async (world) => {
    const { registry, recording } = world
    await run(registry, false, async ({ em, txn }) => {
      await em.count(Author)
      const savepoint = await txn.savepoint()
      const [one, two] = await em.find(Author, {}, { orderBy: { id: 'asc' } })
      one.name = 'changed'
      await em.flush()
      two.name = 'never flushed'
      await em.execute(`update author set bio = 'raw'`)
      recording.reset()
      await savepoint.rollback()
      assert.equal(brief(recording.sql()), ['rollback to sqlassist_1', 'select author'])
      assert.equal([one.name, one.version, two.name, wrap(one).isManaged()], ['Ada', 1, 'Bob', true])
      assert.equal([await em.findOne(Author, 1), await em.findOne(Author, { name: 'Bob' })], [one, two])
      recording.reset()
      await em.flush()
      assert.equal(recording.sql(), [])
      one.name = 'changed'
    })
    assert.equal(brief(recording.sql()), ['update author', 'commit'])
    const names = await world.look.rows('select name, version from author order by id')
    assert.equal(names, [
      { name: 'changed', version: 2 },
      { name: 'Bob', version: 1 },
    ])
  })

  test('an entity loaded later may be referred to, and removed later it may be too', async (world) => {
    const { registry, recording } = world
    await run(registry, false, async ({ em, txn }) => {
      const book = await em.findOneOrFail(Book, 2)
      const savepoint = await txn.savepoint()
      const [sea, , air] = await em.find(Topic, {}, { orderBy: { id: 'asc' } })
      em.remove(air)
      await em.flush()
      await savepoint.rollback()
      assert.equal([wrap(air).isManaged(), await em.findOne(Topic, 3)], [true, air])
      recording.reset()
      book.topics.add(sea, air)
    })
    assert.equal(brief(recording.sql()), ['insert book_topics', 'commit'])
    assert.is(await world.look.value('select count(*) from book_topics where book_id = 2'), 3)
  })

  test('entities that refer to each other, and to themselves, are inserted again as they were', async (world) => {
    const { registry, recording } = world
    await run(registry, false, async ({ em, txn }) => {
      await em.count(Note)
      const savepoint = await txn.savepoint()
      const [here, there] = ['here', 'there'].map((text) => em.create(Note, { text }))
      here.next = there
      there.next = here
      here.see.add(here, there)
      const lost: unknown[] = []
      for (const _ of TWICE) {
        await em.persist(here).flush()
        await savepoint.rollback()
        lost.push(here.next === there, there.next === here, here.see.length, here.see.isDirty())
      }
      assert.equal(lost, [true, true, 2, true, true, true, 2, true])
      recording.reset()
      em.persist(here)
    })
    assert.equal(
      brief(recording.sql()).filter((sql) => sql.startsWith('insert')),
      ['insert note', 'insert note_see'],
    )
    const seen = await world.look.rows(
      'select a.text as one, b.text as other from note a join note b on b.key = a.next_key order by 1',
    )
    assert.equal(seen, [
      { one: 'here', other: 'there' },
      { one: 'there', other: 'here' },
    ])
    assert.is(await world.look.value('select count(*) from note_see'), 2)
  })

  test('an entity that is new again belongs to the program: a second rollback does not touch it', async ({
    registry,
    look,
  }) => {
    await run(registry, false, async ({ em, txn }) => {
      await em.count(Topic)
      const savepoint = await txn.savepoint()
      const topic = em.create(Topic, { label: 'first' })
      await em.flush()
      await savepoint.rollback()
      topic.label = 'second'
      await savepoint.rollback()
      assert.is(topic.label, 'second')
      em.persist(topic)
    })
    assert.equal(await look.rows('select label from topic where id > 3'), [{ label: 'second' }])
  })

  test('an upsert is undone: what it made may be upserted or persisted again', async (world) => {
    const { registry } = world
    await run(registry, false, async ({ em, txn }) => {
      await em.count(Topic)
      const savepoint = await txn.savepoint()
      const entity = em.create(Topic, { label: 'entity' }, { persist: false })
      let data: any
      for (const _ of TWICE) {
        await em.upsert(entity)
        data = await em.upsert(Topic, { label: 'data' })
        assert.ok(entity.id > 3 && data.id > 3)
        await savepoint.rollback()
        assert.is(entity.id, undefined)
      }
      await em.upsert(entity)
      em.persist(data)
      await em.upsert(Topic, { id: 99, label: 'by its key' })
      await savepoint.rollback()
      await em.upsert(entity)
      em.persist(data)
      await em.upsert(Topic, { id: 99, label: 'by its key' })
    })
    const labels = await world.look.rows('select label from topic where id > 3 order by label')
    assert.equal(
      labels.map(({ label }) => label),
      ['by its key', 'data', 'entity'],
    )
  })

  test('what a program keeps on an entity beside its properties is put back too', async (world) => {
    const note = Symbol('note')
    await excursion(world, {
      async before(em) {
        return Object.assign(await ada(em), { kept: 1, [note]: 'a' })
      },
      change: (_, author) => void Object.assign(author, { kept: 2, [note]: 'b', later: true }),
      after: (_, author) => assert.equal([author.kept, author[note], 'later' in author], [1, 'a', false]),
    })
  })

  test('the holder of a collection of a mere reference that was loaded later reaches the one in its place', async (world) => {
    let held: any
    await excursion(world, {
      before: (em) => em.findOneOrFail(Book, 3),
      async change(_, book) {
        await wrap(book.author).init({ populate: ['books'] })
        held = book.author.books
        assert.is(held.length, 1)
      },
      async after(em, book) {
        assert.equal([held.isInitialized(), held.getItems(false).length], [false, 0])
        await wrap(book.author).init()
        held.add(await em.findOneOrFail(Book, 1))
        assert.is(book.author.books.getItems(false).length, 1)
      },
    })
    assert.is(await world.look.value('select author_id from book where id = 1'), 2)
  })

  test('a mere reference does not keep what was loaded into its collections from the other side', async (world) => {
    await excursion(world, {
      before: async (em) => [await em.findOneOrFail(Topic, 1), em.getReference(Book, 1)],
      async change(_, [topic, book]) {
        await topic.books.init()
        assert.is(book.topics.getItems(false).length, 1)
      },
      after: (_, [, { topics }]) => assert.is(topics?.getItems(false).length ?? 0, 0),
    })
  })

  /** Of what is pending too, which a session never has at its savepoints, but its entities may when they are inserted. */
  async function pending(
    { orm }: World,
    prepare: (em: any) => Promise<any>,
    change: (given: any) => unknown,
  ): Promise<void> {
    const em: any = orm.em.fork()
    const given = await prepare(em)
    const snapshot = new SessionSnapshot([em])
    const memory = memoryOf(em)
    for (const _ of TWICE) {
      await change(given)
      assert.not.equal(memoryOf(em), memory)
      snapshot.restore(em)
      assert.equal(memoryOf(em, memory), memory)
    }
  }

  test('a collection is as dirty as it was, with any items', async (world) => {
    for (const [isDirty, before] of [
      [true, undefined],
      [false, 3],
      [true, 3],
    ] as const) {
      await pending(
        world,
        async (em) => {
          const { topics } = await em.findOneOrFail(Book, 1, { populate: ['topics'] })
          if (before !== undefined) topics.add(em.getReference(Topic, before))
          topics.setDirty(isDirty)
          return topics
        },
        (topics) => topics.removeAll(),
      )
    }
  })

  test('a collection that was set without being loaded still replaces what the tables hold', async (world) => {
    await pending(
      world,
      async (em) => {
        const book = await em.findOneOrFail(Book, 1)
        book.topics.set([em.getReference(Topic, 3)])
        assert.is(book.topics.getSnapshot(), undefined)
        return book.topics
      },
      (topics) => topics.takeSnapshot(),
    )
  })

  test('putting back one side of a relation leaves what is pending on the other', async (world) => {
    await pending(
      world,
      async (em) => {
        const topics = await em.find(Topic, {}, { orderBy: { id: 'asc' }, populate: ['books'] })
        const books = await em.find(Book, {}, { orderBy: { id: 'asc' }, populate: ['topics'] })
        topics[0].books.add(books[2])
        assert.ok(topics[0].books.isDirty())
        return books
      },
      ([one]) => one.topics.removeAll(),
    )
  })

  test('the bookkeeping of an entity is put back, field by field', async ({ orm }) => {
    const em: any = orm.em.fork()
    const wrapped = helper(await ada(em))
    const snapshot = new SessionSnapshot([em])
    const { __initialized, __managed, __em, __schema, __pk, __identifier, __reference, __populated, __onLoadFired } =
      wrapped
    const before = {
      __initialized,
      __managed,
      __em,
      __schema,
      __pk,
      __identifier,
      __reference,
      __populated,
      __onLoadFired,
    }
    for (const [field, value] of Object.entries(before)) {
      Reflect.set(wrapped, field, 'changed')
      snapshot.restore(em)
      assert.is(Reflect.get(wrapped, field), value, field)
    }
  })

  test('what did not change between two savepoints may come from the first, and the rest does not', async ({ orm }) => {
    const em: any = orm.em.fork()
    const [one, two] = await em.find(Author, {}, { orderBy: { id: 'asc' }, populate: ['books.topics'] })
    const first = new SessionSnapshot([em])
    one.address.city = 'other'
    const second = new SessionSnapshot([em], first)
    const [state, other] = [stateOf(one), stateOf(two)]
    one.address.city = 'yet another'
    two.name = 'changed'
    second.restore(em)
    assert.equal([stateOf(one), stateOf(two)], [state, other])
    first.restore(em)
    assert.is(one.address.city, 'Hull')
  })

  test.run()
}

/** A class whose values MikroORM reaches by accessors alone. */
class Account {
  declare id: number
  #balance = { amount: 0 }
  #history: string[] = []

  get balance(): { amount: number } {
    return this.#balance
  }
  set balance(value: { amount: number }) {
    this.#history.push('set')
    this.#balance = value
  }
  get history(): string[] {
    return this.#history
  }
}
const AccountSchema = new EntitySchema<Account>({
  class: Account,
  properties: {
    id: { type: 'integer', primary: true },
    balance: { type: 'json', accessor: true },
    history: { type: 'json', persist: false },
  },
})
/** Referred to by another key than the primary one. */
const Country = defineEntity({
  name: 'Country',
  properties: { id: p.integer().primary(), code: p.string().unique(), name: p.string() },
})
const City = defineEntity({
  name: 'City',
  properties: { id: p.integer().primary(), name: p.string(), country: () => p.manyToOne(Country).targetKey('code') },
})
const Pet = defineEntity({
  name: 'Pet',
  discriminatorColumn: 'kind',
  abstract: true,
  properties: { id: p.integer().primary(), kind: p.enum(['cat', 'dog']), name: p.string() },
})
const Cat = defineEntity({
  name: 'Cat',
  extends: Pet,
  discriminatorValue: 'cat',
  properties: { lives: p.integer().nullable() },
})
const Dog = defineEntity({
  name: 'Dog',
  extends: Pet,
  discriminatorValue: 'dog',
  properties: { tricks: p.integer().nullable() },
})

const test = suite<{ orm: TestOrm; close(): Promise<void> }>('entities of unusual kinds at a savepoint')
test.before(async (context) => {
  Object.assign(
    context,
    await openDatabase('sqlite', { config: { entities: [AccountSchema, Country, City, Pet, Cat, Dog] } }),
  )
})
test.after(({ close }) => close())

test('values behind the accessors of a class come back by its setter, or in place', async ({ orm }) => {
  const em: any = orm.em.fork()
  const account = em.create(Account, { balance: { amount: 1 } })
  await em.flush()
  const { balance } = account
  const snapshot = new SessionSnapshot([em])
  balance.amount = 2
  snapshot.restore(em)
  assert.equal([account.balance === balance, balance.amount], [true, 1])
  account.balance = { amount: 3 }
  snapshot.restore(em)
  assert.equal([account.balance === balance, balance.amount], [true, 1])
})

test('an entity known by another key is found by it again, and no more once it is removed', async ({ orm }) => {
  const em: any = orm.em.fork()
  await em.nativeDelete(City, {})
  await em.nativeDelete(Country, {})
  await em.insert(Country, { code: 'NO', name: 'Norway' })
  const country = em.getReference(Country, 'NO', { key: 'code' })
  const known = [...em.getUnitOfWork().getIdentityMap().keys()]
  const snapshot = new SessionSnapshot([em])
  em.getUnitOfWork().getIdentityMap().delete(country)
  snapshot.restore(em)
  assert.is(em.getReference(Country, 'NO', { key: 'code' }), country)
  assert.equal([...em.getUnitOfWork().getIdentityMap().keys()], known)
  em.getUnitOfWork().getIdentityMap().delete(country)
  assert.is.not(em.getReference(Country, 'NO', { key: 'code' }), country)
})

test('one table for several classes', async ({ orm }) => {
  const em: any = orm.em.fork()
  const cat = em.create(Cat, { name: 'Tom', lives: 7, kind: 'cat' })
  await em.flush()
  const snapshot = new SessionSnapshot([em])
  const state = memoryOf(em)
  cat.lives = 6
  em.create(Dog, { name: 'Rex', kind: 'dog' })
  await em.flush()
  em.remove(cat)
  await em.flush()
  snapshot.restore(em)
  assert.equal(memoryOf(em, state), state)
  assert.is(helper(cat).__em, em)
})

test.run()
