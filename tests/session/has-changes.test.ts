import { ref, wrap } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { hasChanges } from '../../source/session/has-changes.ts'
import { DIALECTS } from '../support/orms.ts'
import {
  Address,
  Author,
  Book,
  Chapter,
  fillTables,
  Note,
  openWorld,
  Topic,
  type World,
} from '../memory/savepoint-world.ts'
import { suite } from '../support/suite.ts'

type Change = (em: any, books: any[]) => unknown

const POPULATED = ['author.photo', 'editor', 'chapters', 'topics'] as const

/** What leaves nothing to flush. */
const NOTHING: Readonly<Record<string, Change>> = {
  nothing: () => undefined,
  'reading everything': (_, books) => JSON.stringify(books),
  'loading more': (em) => em.find(Topic, {}, { populate: ['books'] }),
  'a reference': (em) => em.getReference(Author, 77),
  'a part of an entity': (em) => em.clear() || em.find(Author, {}, { fields: ['name'] }),
  'the value that was there': (_, [book]) => (book.title = 'one'),
  'the entity that was there': (_, [book]) => (book.author = wrap(book.author).toReference().unwrap()),
  'there and back': (_, [book]) => ((book.title = 'x'), (book.title = 'one')),
  'an entity that nobody keeps': () => new (Note as any).class(),
  'a new entity, taken back': (em) => {
    const note = em.create(Note, { text: 'x' })
    em.remove(note)
  },
  'a new book, which an author whose books are not loaded does not know of': (em, [book]) =>
    em.create(Book, { title: 'new', author: book.author }, { persist: false }),
}

/** What a flush would write. */
const SOMETHING: Readonly<Record<string, Change>> = {
  'a column': (_, [book]) => (book.title = 'other'),
  'a column of an entity that is only referred to': (em) => (em.getReference(Author, 1).name = 'other'),
  'a column of a reference': (em) => (em.getReference(Author, 77).name = 'other'),
  'a date': (_, [book]) => (book.author.born = new Date(5)),
  'JSON in place': (_, [book]) => book.author.settings.colours.push('blue'),
  'an embeddable in place': (_, [book]) => (book.author.address.street = 'other'),
  'an embeddable taken away': (_, [book]) => (book.author.address = null),
  'an embeddable in an array': (_, [book]) => (book.author.places[0].street = 'other'),
  'one more embeddable': (em, [book]) => book.author.places.push(em.create(Address, { street: 'x' })),
  'a lazy value': (_, [book]) => book.author.photo.set('other'),
  'another author': (_, [book, , third]) => (book.author = third.author),
  'no author': (_, [book]) => (book.author = null),
  'another editor by reference': (em, [book]) => (book.editor = ref(em.getReference(Author, 1))),
  'a new author': (_, [book]) => (book.author = new (Author as any).class()),
  'a new author where there was none': (em, [, second]) =>
    (second.editor = ref(em.create(Author, { name: 'new' }, { persist: false }))),
  'a new book of an author whose books are loaded': async (em, [{ author }]) => {
    await author.books.loadItems()
    em.create(Book, { title: 'new', author }, { persist: false })
  },
  'a chapter added': (em, [book]) => book.chapters.add(em.create(Chapter, { title: 'x', book }, { persist: false })),
  'a chapter taken away': (_, [book]) => book.chapters.remove(book.chapters[0]),
  'a topic added': (em, [book]) => book.topics.add(em.getReference(Topic, 3)),
  'a topic taken away': (_, [book]) => book.topics.remove(book.topics[0]),
  'all topics taken away': (_, [book]) => book.topics.removeAll(),
  'a topic from the other side': async (em, [book]) => (await em.findOneOrFail(Topic, 3)).books.add(book),
  'a new entity': (em) => em.persist(em.create(Note, { text: 'x' }, { persist: false })),
  'a new entity without a key': (em) => em.persist(em.create(Topic, { label: 'x' }, { persist: false })),
  'a removed entity': (em, [book]) => em.remove(book.chapters[0]),
  'a removed entity that was not loaded': (em) =>
    em.remove(em.getReference(Note, '00000000-0000-4000-8000-000000000001')),
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`whether there is anything to flush, on ${dialect}`)
  test.before(async (world) => {
    Object.assign(world, await openWorld(dialect))
    await fillTables(world)
  })
  test.after((world) => world.close())

  for (const [changes, expected] of [
    [NOTHING, false],
    [SOMETHING, true],
  ] as const) {
    for (const [name, change] of Object.entries(changes)) {
      test(`${name}: ${expected ? 'there is' : 'there is not'}, as MikroORM says too`, async ({ orm }) => {
        const [mine, mikroOrms] = [orm.em.fork() as any, orm.em.fork() as any]
        for (const em of [mine, mikroOrms]) {
          await change(em, await em.find(Book, {}, { orderBy: { id: 1 }, populate: POPULATED }))
        }
        const uow = mikroOrms.getUnitOfWork()
        uow.computeChangeSets()
        const found = uow.getChangeSets().length + uow.getCollectionUpdates().length + uow.getExtraUpdates().size
        assert.is(found > 0, expected, 'MikroORM')
        assert.is(hasChanges(mine), expected)
      })
    }
  }
  test.run()
}
