import { wrap } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { DetachedEntityError, EngineRegistry } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { Author, Book, brief, Chapter, fillTables, memoryOf, openWorld, Topic, type World } from './savepoint-world.ts'

type Play = (registry: EngineRegistry<any>, work: (em: any) => unknown) => Promise<unknown>

const inRun: Play = (registry, work) => registry.run(({ dbSession }: any) => work(dbSession.writer))

/** The ways to have a session, and how it is committed. */
const WAYS: Record<string, { engine?: object; options?: object; play: Play }> = {
  joined: { play: inRun },
  autonomous: { engine: { commit: 'autonomous' }, play: inRun },
  autocommit: {
    engine: { commit: 'autocommit' },
    async play(registry, work) {
      await registry.run(async ({ dbSession }: any) => {
        await work(dbSession.writer)
        await dbSession.writer.flush()
      })
    },
  },
  'kept session': { engine: { keepSession: true }, play: inRun },
  disabled: { options: { disableTransaction: true }, play: inRun },
  independent: {
    async play(registry, work) {
      const em: any = registry.session('writer')
      try {
        await work(em)
        await em.commit()
      } finally {
        await em.close()
      }
    },
  },
}

class Undo extends Error {}
const undo = (): never => {
  throw new Undo()
}

/** Runs `work` in a nested transaction that fails. */
async function failing(em: any, work: (nested: any) => unknown, options?: object): Promise<void> {
  const error = await rejection(
    em.transactional(async (nested: any) => {
      await work(nested)
      undo()
    }, options),
  )
  assert.instance(error, Undo)
}

/** The codes of an error and of what caused it: a flush that failed keeps the unit from being committed. */
const codesOf = (error: any): unknown[] => [error?.code, error?.cause?.code]

for (const dialect of DIALECTS) {
  for (const [way, { engine, options, play }] of Object.entries(WAYS)) {
    const test = suite<World>(`a failed em.transactional() on ${dialect}, ${way}`)
    test.before(async (world) => {
      Object.assign(world, await openWorld(dialect, 'writer'))
      const registry = new EngineRegistry<any>({ writer: { orm: world.orm, ...engine } }, options)
      Object.assign(world, { registry })
    })
    test.before.each((world) => fillTables(world))
    test.after(async (world) => {
      await world.registry.close()
      await world.close()
    })

    /** Where every flush commits, the outer one has a connection of its own. */
    const readers = way === 'autocommit' ? ['nested'] : ['nested', 'outer']
    const insideOf = (reader: string, em: any, nested: any): any =>
      reader === 'nested' || way === 'autocommit' ? nested : em

    const names = ({ look }: World): Promise<unknown[]> => authorNames(look)
    const labels = async ({ look }: World): Promise<unknown[]> =>
      (await look.rows('select label from topic order by id')).map(({ label }) => label)

    test('leaves what it flushed and what it assigned as it was, and the same change made again is stored', async (world) => {
      await play(world.registry, async (em) => {
        const [ada, bob] = await em.find(Author, {}, { orderBy: { id: 'asc' }, populate: ['books.topics'] })
        const memory = memoryOf(em)
        await failing(em, async (nested) => {
          ada.name = 'new'
          ada.address.city = 'Ulm'
          ada.settings.colours.push('blue')
          ada.books[0].topics.removeAll()
          nested.remove(ada.books[1])
          await nested.flush()
          bob.name = 'assigned'
          bob.books.removeAll()
        })
        assert.equal(memoryOf(em, memory), memory)
        ada.name = 'new'
      })
      assert.equal(await names(world), ['new', 'Bob'])
      assert.equal(await world.look.value('select count(*) from book_topics'), 3)
    })

    test('leaves what was pending pending, by whichever entity manager it was flushed inside', async (world) => {
      for (const flusher of ['nested', 'outer']) {
        await play(world.registry, async (em) => {
          const ada = await em.findOneOrFail(Author, 1)
          ada.name = `before, ${flusher}`
          const topic = em.create(Topic, { label: `pending, ${flusher}` })
          em.remove(await em.findOneOrFail(Topic, { label: flusher === 'nested' ? 'air' : 'land' }))
          await failing(em, async (nested) => {
            ada.name = 'inside'
            topic.label = 'inside'
            await insideOf(flusher, em, nested).flush()
          })
          assert.equal([ada.name, topic.label], [`before, ${flusher}`, `pending, ${flusher}`])
        })
        assert.is((await names(world))[0], `before, ${flusher}`)
      }
      assert.equal(await labels(world), ['sea', 'pending, nested', 'pending, outer'])
    })

    test('leaves what it created new again', async (world) => {
      await play(world.registry, async (em) => {
        const ada = await em.findOneOrFail(Author, 1, { populate: ['books'] })
        let book: any
        await failing(em, async (nested) => {
          book = nested.create(Book, { title: 'new', author: ada })
          await nested.flush()
          em.create(Topic, { label: 'by the outer one' })
        })
        assert.equal([book.id, wrap(book).isManaged(), ada.books.length], [undefined, false, 2])
        assert.is(await em.findOne(Book, { title: 'new' }), null)
        book.title = 'persisted again'
        em.persist(book)
      })
      assert.is(await world.look.value(`select title from book where id > 3`), 'persisted again')
      assert.equal(await labels(world), ['sea', 'land', 'air'])
    })

    test('leaves what it loaded managed, as the database has it, and its changes are stored', async (world) => {
      for (const clear of [false, true]) {
        for (const reader of readers) {
          const name = `after, ${clear} ${reader}`
          await play(world.registry, async (em) => {
            let book: any
            let topic: any
            const work = async (nested: any) => {
              const loader = reader === 'nested' ? nested : em
              book = await loader.findOneOrFail(Book, { title: 'one' }, { populate: ['author', 'chapters'] })
              book.author.name = 'inside'
              loader.create(Chapter, { title: 'inside', book })
              await loader.flush()
              await loader.execute(`update book set title = 'raw' where id = 1`)
              await loader.refresh(book)
              assert.is(book.title, 'raw')
              topic = loader.getReference(Topic, 3)
            }
            await failing(em, work, { clear })
            const { author } = book
            assert.equal(
              [book.title, author.name.startsWith('after') || author.name],
              ['one', author.name === 'Ada' ? 'Ada' : true],
            )
            assert.equal([await em.findOne(Book, 1), await em.findOne(Author, 1)], [book, author])
            assert.equal([em.getReference(Topic, 3) === topic, wrap(topic).isInitialized()], [true, false])
            assert.is(book.chapters.isInitialized(), false)
            assert.equal(
              (await book.chapters.loadItems()).map(({ title }: any) => title),
              ['first', 'second'],
            )
            author.name = name
            topic.label = name
          })
          assert.equal([(await names(world))[0], (await labels(world))[2]], [name, name])
        }
      }
    })

    test('refuses changes to what it loaded a second time, while the first one is as it was', async (world) => {
      const outcome: any = await play(world.registry, async (em) => {
        const ada = await em.findOneOrFail(Author, 1)
        let other: any
        const inside = async (nested: any) => {
          other = await nested.findOneOrFail(Author, 1)
          other.name = 'inside'
          await nested.flush()
        }
        await failing(em, inside, { clear: true })
        assert.equal([other === ada, ada.name, await em.findOne(Author, 1)], [false, 'Ada', ada])
        await em.flush()
        other.name = 'lost'
        const error: any = await rejection(em.flush())
        assert.equal([error.code, error.message.includes('Author ["1"]')], ['SQLASSIST_DETACHED_ENTITY', true])
      }).catch((error) => error)
      assert.ok(codesOf(outcome).includes('SQLASSIST_DETACHED_ENTITY'), String(outcome))
      assert.equal(await names(world), ['Ada', 'Bob'])
    })

    test('refuses changes to a row that it made by a statement, unless it is persisted anew', async (world) => {
      for (const isPersisted of [false, true]) {
        for (const isReference of [false, true]) {
          const outcome: any = await play(world.registry, async (em) => {
            let topic: any
            await failing(em, async (nested) => {
              await nested.insert(Topic, { id: 50, label: 'inside' })
              topic = isReference ? nested.getReference(Topic, 50) : await nested.findOneOrFail(Topic, 50)
            })
            assert.equal([wrap(topic).isManaged(), await em.findOne(Topic, 50)], [false, null])
            await em.flush()
            topic.label = `changed ${isReference}`
            if (isPersisted) return void (await em.persist(topic).flush())
            assert.instance(await rejection(em.flush()), DetachedEntityError)
          }).catch((error) => error)
          assert.is(codesOf(outcome).includes('SQLASSIST_DETACHED_ENTITY'), !isPersisted)
          const stored = isPersisted ? [`changed ${isReference}`] : []
          assert.equal(await labels(world), ['sea', 'land', 'air', ...stored])
          await world.look.rows('delete from topic where id = 50')
        }
      }
    })

    test('is undone at any depth, and what failed inside alone leaves the outside', async (world) => {
      await play(world.registry, async (em) => {
        const ada = await em.findOneOrFail(Author, 1)
        let book: any
        let topic: any
        await em.transactional(async (one: any) => {
          ada.name = 'one'
          await failing(one, async (two) => {
            ada.name = 'two'
            book = await insideOf('outer', em, one).findOneOrFail(Book, 1)
            await failing(two, async (three) => {
              ada.name = 'three'
              topic = await three.findOneOrFail(Topic, 1)
              topic.label = 'three'
              book.title = 'third'
              await three.flush()
              await insideOf('outer', em, one).flush()
            })
            assert.equal([ada.name, book.title, topic.label], ['two', 'one', 'sea'])
            topic.label = 'two'
            book.title = 'second'
            await two.flush()
          })
          assert.equal([ada.name, book.title, topic.label], ['one', 'one', 'sea'])
          topic.label = 'one'
        })
        book.title = 'outside'
      })
      assert.equal(
        [await names(world), await labels(world)],
        [
          ['one', 'Bob'],
          ['one', 'land', 'air'],
        ],
      )
      assert.is(await world.look.value('select title from book where id = 1'), 'outside')
    })

    test('undoes nothing of another one at the same time', async (world) => {
      await play(world.registry, async (em) => {
        const [ada, bob] = await em.find(Author, {}, { orderBy: { id: 'asc' } })
        await Promise.all([
          failing(em, async (nested) => {
            ada.name = 'inside'
            await nested.flush()
          }),
          em.transactional(() => void (bob.name = 'well')),
          failing(em, () => void (bob.name = 'inside')),
        ])
        assert.equal([ada.name, bob.name], ['Ada', 'well'])
        ada.name = 'inside'
      })
      assert.equal(await names(world), ['inside', 'well'])
    })

    test('costs no statement, and one that went well none either', async (world) => {
      const { recording } = world
      await play(world.registry, async (em) => {
        const ada = await em.findOneOrFail(Author, 1)
        recording.reset()
        await em.transactional(() => void (ada.name = 'well'))
        await failing(em, async (nested) => {
          ada.name = 'inside'
          await nested.flush()
        })
        const [begin, commit, rollback] =
          way === 'autocommit'
            ? ['begin', 'commit', 'rollback']
            : ['savepoint trx1', 'release trx1', 'rollback to trx1']
        assert.equal(brief(recording.sql()), [begin, 'update author', commit, begin, 'update author', rollback])
      })
    })

    if (way === 'autocommit' && dialect === 'postgresql') {
      test('leaves what the outer one committed meanwhile as it is stored', async (world) => {
        await play(world.registry, async (em) => {
          const [ada, bob] = await em.find(Author, {}, { orderBy: { id: 'asc' } })
          const [pending, removed] = [em.create(Topic, { label: 'pending' }), await em.findOneOrFail(Topic, 3)]
          let created: any
          await failing(em, async (nested) => {
            bob.name = 'undone'
            await nested.flush()
            ada.name = 'committed'
            created = em.create(Topic, { label: 'created' })
            em.remove(removed)
            await em.flush()
            assert.ok(pending.id > 3)
          })
          assert.equal([ada.name, bob.name, pending.label, created.label], ['committed', 'Bob', 'pending', 'created'])
          assert.equal([wrap(created).isManaged(), wrap(removed).isManaged()], [true, false])
          created.label = 'changed'
        })
        assert.equal(await names(world), ['committed', 'Bob'])
        assert.equal(await labels(world), ['sea', 'land', 'pending', 'changed'])
      })
    }

    test.run()
  }
}
