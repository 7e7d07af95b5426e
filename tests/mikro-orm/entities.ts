/** What the library relies on of MikroORM's bookkeeping of entities in memory. */
import { helper } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { Address, Author, Book, Topic } from '../memory/savepoint-world.ts'
import type { Reliance, Worlds } from './reliance.ts'

const fork = ({ sqlite }: Worlds): any => sqlite.orm.em.fork()
const ada = async (em: any, options = {}): Promise<any> => await em.findOneOrFail(Author, 1, options)
const wrapped = (entity: object): any => helper(entity)
const NESTED = 'session/nested-entities.ts'
const OWNERSHIP = 'session/entity-ownership.ts'
const CHANGES = 'session/has-changes.ts'
const COLUMNS = 'model/entity-columns.ts'
const COPY = 'model/copy-to.ts'
const SNAPSHOT = 'memory/entity-snapshot.ts'
const STRAYS = 'memory/stray-entities.ts'
const LATER = 'memory/later-entities.ts'
const SILENT = 'memory/silent-relations.ts'
const WRAPPED = 'memory/wrapped-entity.ts'

export const ENTITY_RELIANCES: readonly Reliance[] = [
  {
    what: 'helper() gives the bookkeeping of an entity, which is its property __helper',
    where: [
      WRAPPED,
      COPY,
      COLUMNS,
      CHANGES,
      NESTED,
      OWNERSHIP,
      SNAPSHOT,
      STRAYS,
      SILENT,
      'memory/manager-snapshot.ts',
      'memory/own-properties.ts',
      'memory/session-snapshot.ts',
      'model/session-of.ts',
      'session/flush-in-turn.ts',
      'session/session-savepoints.ts',
    ],
    forms: ['helper', 'field', 'cast'],
    why: 'entities are recognised and looked into by it',
    async check(worlds) {
      const author = await ada(fork(worlds))
      assert.ok(author.__helper)
      assert.is(author.__helper, helper(author))
      assert.is(helper({}), undefined)
      assert.not.ok(Object.keys(author).includes('__helper'))
    },
  },
  {
    what: 'The bookkeeping has the metadata of the class in __meta',
    where: [WRAPPED, COPY, COLUMNS, CHANGES, NESTED, STRAYS, LATER, SNAPSHOT, SILENT, 'memory/manager-snapshot.ts'],
    forms: ['field'],
    why: 'properties, relations and columns are listed from it',
    async check(worlds) {
      const author = await ada(fork(worlds))
      const meta = wrapped(author).__meta
      assert.equal([meta.class === author.constructor, meta.root === meta, meta.className], [true, true, 'Author'])
      assert.equal([meta.primaryKeys, meta.versionProperty], [['id'], 'version'])
      assert.equal(
        meta.relations.map(({ name }: any) => name),
        ['books'],
      )
      assert.ok(meta.props.includes(meta.properties.name))
    },
  },
  {
    what: 'The prototype of an embeddable has metadata with the flag embeddable in __meta',
    where: ['memory/property-snapshot.ts', 'memory/hidden-contents.ts', 'memory/value-snapshot.ts'],
    forms: ['field'],
    why: 'a snapshot enters an embeddable, and keeps an entity by reference',
    async check(worlds) {
      const author = await ada(fork(worlds))
      const { address } = author
      assert.ok(Object.hasOwn(Object.getPrototypeOf(address), '__meta'))
      assert.equal([Boolean(address.__meta.embeddable), Boolean(author.__meta.embeddable)], [true, false])
      assert.is(address.__meta.class, Address.class)
    },
  },
  {
    what: 'The bookkeeping has the entity manager of an entity in __em',
    where: [OWNERSHIP, COPY, COLUMNS, CHANGES, STRAYS, LATER, SNAPSHOT],
    forms: ['field'],
    why: 'the session of an entity is found by it, and a rollback puts it back',
    async check(worlds) {
      const em = fork(worlds)
      const author = await ada(em)
      assert.is(wrapped(author).__em, em)
      assert.is(wrapped(em.create(Topic, { label: 'new' }, { persist: false })).__em, undefined)
    },
  },
  {
    what: 'A flush compares an entity with __originalEntityData, which a new entity does not have',
    where: [NESTED, CHANGES, COPY, 'session/flush-in-turn.ts', 'memory/session-snapshot.ts', SNAPSHOT, STRAYS, LATER],
    forms: ['field'],
    why: 'a rollback restores it; an entity without it is inserted',
    async check(worlds) {
      const em = fork(worlds)
      const author = await ada(em)
      const uow = em.getUnitOfWork(false)
      const { version, ...columns } = wrapped(author).__originalEntityData
      assert.equal([version, columns], [1, em.getComparator().prepareEntity(author)])
      wrapped(author).__originalEntityData.name = 'another'
      uow.computeChangeSets()
      assert.equal(uow.getChangeSets()[0].payload, { name: 'Ada' })
      assert.is(wrapped(em.create(Topic, { label: 'new' })).__originalEntityData, undefined)
    },
  },
  {
    what: 'The bookkeeping says in __managed and __initialized whether an entity is managed and loaded',
    where: [NESTED, CHANGES, 'session/flush-in-turn.ts', SNAPSHOT, STRAYS, WRAPPED, LATER, 'memory/reload-entities.ts'],
    forms: ['field'],
    why: 'a rollback sets both, and a reload looks only for the row of a mere reference',
    async check(worlds) {
      const em = fork(worlds)
      const flags = (entity: any) => [wrapped(entity).__managed, wrapped(entity).__initialized]
      assert.equal(flags(await ada(em)), [true, true])
      assert.equal(flags(em.getReference(Author, 2)), [true, false])
      assert.equal(flags(em.create(Topic, { label: 'new' }, { persist: false })), [undefined, true])
      const author = await ada(em)
      wrapped(author).__managed = false
      assert.is(wrapped(author).isManaged(), false)
    },
  },
  {
    what: 'The bookkeeping has the names of the loaded properties in the set __loadedProperties',
    where: [COLUMNS, LATER, SNAPSHOT, 'memory/reload-entities.ts'],
    forms: ['field'],
    why: 'distinguishes a lazy property that is null from one that is not loaded',
    async check(worlds) {
      const em = fork(worlds)
      const author = await ada(em)
      const loaded = wrapped(author).__loadedProperties
      assert.instance(loaded, Set)
      assert.equal([loaded.has('name'), loaded.has('bio')], [true, false])
      await em.populate(author, ['bio'])
      assert.ok(wrapped(author).__loadedProperties.has('bio'))
    },
  },
  {
    what: 'A find writes its populate and fields into __serializationContext, whose fields are a set',
    where: [SNAPSHOT, WRAPPED, 'memory/reload-entities.ts'],
    forms: ['field'],
    why: 'a reload must not change what a serialization shows',
    async check(worlds) {
      const em = fork(worlds)
      const author = await ada(em, { fields: ['name'], populate: [] })
      assert.equal([...wrapped(author).__serializationContext.fields], ['name'])
      const other = await em.findOneOrFail(Author, 2, { populate: ['books'] })
      assert.is(wrapped(other).__serializationContext.populate[0].field, 'books')
    },
  },
  {
    what: 'Tracked properties are own accessors of __data, and a deleted one comes back by its setter',
    where: [SNAPSHOT, 'memory/own-properties.ts', WRAPPED, LATER, SILENT],
    forms: ['field'],
    why: 'values are restored behind the accessors, so that nothing is propagated',
    async check(worlds) {
      const em = fork(worlds)
      const book = await em.findOneOrFail(Book, 1)
      const { __data: data, __meta: meta } = wrapped(book)
      assert.is(data.author, book.author)
      assert.type(Object.getOwnPropertyDescriptor(book, 'author')?.set, 'function')
      const { author } = book
      delete book.author
      book.author = author
      assert.type(Object.getOwnPropertyDescriptor(book, 'author')?.set, 'function')
      Object.defineProperty(book, 'author', meta.definedProperties.author)
      assert.is(book.author, author)
    },
  },
  {
    what: 'The accessor of a relation in __data changes the other side, also where a read sets it, and nothing else does',
    where: [SILENT],
    forms: ['field'],
    why: 'it is replaced while entities are read anew: what they refer to would count as changed, or be removed',
    async check(worlds) {
      const em = fork(worlds)
      const [one, two] = await em.find(Author, {}, { orderBy: { id: 'asc' }, populate: ['books'] })
      const third = await em.findOneOrFail(Book, 3)
      const moved = async (author: number): Promise<unknown[]> => {
        await em.nativeUpdate(Book, 3, { author })
        await em.refresh(third)
        return [third.author.id, one.books.length, one.books.isDirty(), two.books.length, two.books.isDirty()]
      }
      assert.equal(await moved(1), [1, 3, true, 0, true])
      const { __data: data } = wrapped(third)
      const accessor = Object.getOwnPropertyDescriptor(third, 'author')
      Object.defineProperty(third, 'author', {
        ...accessor,
        set(author) {
          data.author = author
        },
      })
      assert.equal(await moved(2), [2, 3, true, 0, true])
    },
  },
  {
    what: 'MikroORM keeps more of an entity in __reference, __populated, __onLoadFired, __identifier and __processing',
    where: [SNAPSHOT, STRAYS, LATER],
    forms: ['field'],
    why: 'a rollback restores these fields or deletes them',
    async check(worlds) {
      const em = fork(worlds)
      em.getEventManager().registerSubscriber({ onLoad: () => undefined })
      const author = wrapped(await ada(em, { populate: ['books'] }))
      assert.is(author.toReference(), author.__reference)
      author.populated(true)
      assert.equal([author.__populated, author.__onLoadFired, author.__schema], [true, true, undefined])
      const topic = em.create(Topic, { label: 'new' })
      const seen: unknown[] = []
      em.getEventManager().registerSubscriber({
        onFlush: async () => void seen.push(wrapped(topic).__identifier !== undefined, wrapped(topic).__processing),
      })
      await em.flush()
      assert.equal(seen, [true, true])
      assert.is(wrapped(topic).__processing, false)
      await em.remove(topic).flush()
    },
  },
  {
    what: 'An entity knows whether it has its primary key, and gives it as text',
    where: [LATER, COPY, COLUMNS, SILENT, 'memory/reload-entities.ts', 'model/get-by-id.ts'],
    forms: ['helper', 'cast'],
    why: 'rows are matched with entities by getSerializedPrimaryKey()',
    async check(worlds) {
      const em = fork(worlds)
      const author = wrapped(await ada(em))
      assert.equal([author.hasPrimaryKey(), author.getSerializedPrimaryKey(), author.getPrimaryKey()], [true, '1', 1])
      assert.is(wrapped(em.create(Topic, { label: 'new' })).hasPrimaryKey(), false)
    },
  },
]
