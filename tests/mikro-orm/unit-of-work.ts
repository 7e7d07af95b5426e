/** What the library relies on of MikroORM's unit of work, comparator, collections and lazy scalars. */
import { Collection, helper, ScalarReference, serialize, type EntityManager } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { Author, Book, Topic } from '../memory/savepoint-world.ts'
import type { Reliance, Worlds } from './reliance.ts'

const fork = ({ sqlite }: Worlds): any => sqlite.orm.em.fork()
const ada = async (em: any): Promise<any> => await em.findOneOrFail(Author, 1)
const wrapped = (entity: object): any => helper(entity)
const NESTED = 'session/nested-entities.ts'
const CHANGES = 'session/has-changes.ts'
const COPY = 'model/copy-to.ts'
const SNAPSHOT = 'memory/entity-snapshot.ts'
const STRAYS = 'memory/stray-entities.ts'
const LATER = 'memory/later-entities.ts'

export const UNIT_OF_WORK_RELIANCES: readonly Reliance[] = [
  {
    what: 'The comparator prepares the columns of an entity and lists what differs',
    where: [SNAPSHOT, STRAYS, LATER, NESTED, CHANGES, COPY],
    forms: ['comparator'],
    why: 'changes are found by the comparison that a flush makes',
    async check(worlds) {
      const em = fork(worlds)
      const author = await ada(em)
      const comparator = em.getComparator()
      const before = comparator.prepareEntity(author)
      assert.is(before.address_city, 'Hull')
      author.name = 'changed'
      const now = comparator.prepareEntity(author)
      assert.equal(comparator.diffEntities(author.constructor, before, now), { name: 'changed' })
      assert.equal(comparator.getEntityComparator(author.constructor)(before, now), { name: 'changed' })
    },
  },
  {
    what: 'The identity map has a live store for each class, by hash of the primary key and by [key]value',
    where: [
      'memory/manager-snapshot.ts',
      LATER,
      STRAYS,
      NESTED,
      CHANGES,
      'memory/silent-relations.ts',
      'memory/session-snapshot.ts',
      'session/flush-in-turn.ts',
    ],
    forms: ['unitOfWork'],
    why: 'entities are put back into it, each under the keys that it had',
    async check(worlds) {
      const em = fork(worlds)
      const author = await ada(em)
      const identityMap = em.getUnitOfWork(false).getIdentityMap()
      const store: Map<string, unknown> = identityMap.getStore(wrapped(author).__meta)
      assert.is(store.get('1'), author)
      identityMap.storeByKey(author, 'name', 'Ada')
      assert.is(store.get('[name]Ada'), author)
      identityMap.delete(author)
      assert.equal([store.size, identityMap.getByEntity(author)], [0, undefined])
      store.set('1', author)
      assert.is(identityMap.getByEntity(author), author)
      identityMap.delete(author)
      identityMap.store(author)
      assert.equal([...identityMap], [author])
    },
  },
  {
    what: 'The unit of work has live sets of what is to be persisted, removed or removed as an orphan',
    where: [
      'memory/manager-snapshot.ts',
      CHANGES,
      NESTED,
      'session/undone-in-memory.ts',
      'session/session-core.ts',
      'session/flush-in-turn.ts',
    ],
    forms: ['unitOfWork'],
    why: 'pending entities are taken out of them and put back',
    async check(worlds) {
      const em = fork(worlds)
      const [author, book] = [await ada(em), await em.findOneOrFail(Book, 3)]
      const topic = em.create(Topic, { label: 'new' }, { persist: false })
      const uow = em.getUnitOfWork(false)
      uow.persist(topic, undefined, { cascade: false })
      uow.remove(book)
      uow.scheduleOrphanRemoval(author, new Set([author]))
      const sets = [uow.getPersistStack(), uow.getRemoveStack(), uow.getOrphanRemoveStack()]
      assert.equal([sets[0].has(topic), sets[1].has(book), sets[2].has(author)], [true, true, true])
      sets[1].delete(book)
      assert.is(uow.getRemoveStack().has(book), false)
      uow.clear()
      assert.equal([...uow.getIdentityMap(), ...uow.getPersistStack(), ...uow.getOrphanRemoveStack()], [])
      assert.is(wrapped(author).__managed, true)
    },
  },
  {
    what: 'A flush lists in onFlush the writes that it is about to send, with those it postpones',
    where: [
      'memory/session-snapshot.ts',
      STRAYS,
      CHANGES,
      'session/entity-ownership.ts',
      'session/pipelined-commit.ts',
    ],
    forms: ['unitOfWork'],
    why: 'inserted and changed entities are noted before the first statement',
    async check(worlds) {
      const em: EntityManager = fork(worlds)
      const author = await ada(em)
      author.name = 'changed'
      const seen: unknown[] = []
      em.getEventManager().registerSubscriber({
        async onFlush({ uow }) {
          seen.push(uow.getChangeSets().map(({ entity, type }) => [entity === author, type]))
          seen.push(uow.getExtraUpdates().size, uow.getCollectionUpdates().length)
        },
      })
      worlds.sqlite.recording.reset()
      await em.flush()
      assert.equal(seen, [[[true, 'update']], 0, 0])
    },
  },
  {
    what: 'A collection can be emptied and filled without propagation, and takes its snapshot on demand',
    where: ['memory/collection-snapshot.ts'],
    forms: ['collection'],
    why: 'collections are restored item by item',
    async check(worlds) {
      const em = fork(worlds)
      const { topics } = await em.findOneOrFail(Book, 1, { populate: ['topics'] })
      const [one, two] = topics.getItems()
      topics.hydrate([], false, true, false)
      assert.equal([topics.length, topics.isPartial(), topics.isDirty()], [0, true, false])
      topics.addWithoutPropagation(two)
      topics.takeSnapshot()
      assert.equal(topics.getSnapshot(), [two])
      topics.removeWithoutPropagation(two)
      topics.addWithoutPropagation(one)
      topics.setDirty(true)
      assert.equal([topics.getItems(false)[0] === one, topics.isDirty()], [true, true])
      const made = new Collection<object>(topics.owner, undefined, false)
      made.property = topics.property
      assert.equal([made.isInitialized(), made.getItems(false)], [false, []])
      const readOnly = await topics.matching({ where: {}, store: true })
      assert.throws(() => topics.add([]), /cannot be modified|read-only|readonly/i, `${readOnly.length}`)
    },
  },
  {
    what: 'A lazy scalar is a ScalarReference that can be bound to its property anew',
    where: ['memory/collection-snapshot.ts', LATER],
    forms: ['scalarReference'],
    why: 'a lazy scalar that was loaded later is replaced by an unloaded one',
    async check(worlds) {
      const em = fork(worlds)
      const author = await ada(em)
      assert.ok(ScalarReference.isScalarReference(author.photo))
      const made = new ScalarReference<unknown>()
      made.bind(author, 'photo')
      assert.is(made.isInitialized(), false)
      author.photo = made
      assert.is(await made.load(), 'face')
      assert.is((serialize(author) as any).photo, 'face')
    },
  },
]
