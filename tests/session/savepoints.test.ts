import { helper } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { markChanged } from '../../source/index.ts'
import { sessionOfEntityManager } from '../../source/session/session.ts'
import { NestedTransactionOpenError } from '../../source/session/nested-errors.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'
import {
  Author,
  Book,
  brief,
  fillTables,
  memoryOf,
  Note,
  openWorld,
  rows,
  run,
  Topic,
  type Work,
  type World,
} from '../memory/savepoint-world.ts'

for (const dialect of DIALECTS) {
  for (const disabled of [false, true]) {
    const test = suite<World>(`savepoints on ${dialect}${disabled ? ', transactions disabled' : ''}`)
    test.before(async (world) => void Object.assign(world, await openWorld(dialect)))
    test.before.each((world) => fillTables(world))
    test.after((world) => world.close())

    const begin = dialect === 'sqlite' ? 'begin immediate' : 'begin'

    /** Plays one unit of work; what was sent. */
    async function play({ registry, recording, orm }: World, work: Work): Promise<string[]> {
      recording.reset()
      await run(registry, disabled, work)
      // The rollback of what only read is not waited for.
      await ormsIdle(orm)
      return brief(recording.sql())
    }

    test('rolled back, rows and memory are as they were, and the commit writes the rest and nothing else', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        const [ada, bob] = await em.find(Author, {}, { orderBy: { id: 'asc' }, populate: ['books.topics'] })
        bob.name = 'Rob'
        const savepoint = await txn.savepoint()
        const memory = memoryOf(em)
        ada.name = 'Eve'
        ada.address.city = 'Ulm'
        ada.settings.colours.push('blue')
        ada.places.push({ street: 'Oak' })
        const [one, two] = ada.books
        em.create(Book, { title: 'new', author: ada, topics: [em.getReference(Topic, 3)] })
        one.topics.remove(one.topics[0])
        em.remove(two)
        await em.flush()
        ada.name = 'not flushed'
        bob.books.removeAll()
        await savepoint.rollback()
        assert.equal(memoryOf(em, memory), memory)
        ada.name = 'the rest'
      })
      const before = ['select author', 'select book', 'select book_topics', 'update author', 'savepoint sqlassist_1']
      const later = ['insert book', 'update author', 'delete book_topics', 'insert book_topics', 'delete book']
      // The topic was a mere reference: that its row is there is made sure of.
      const end = ['rollback to sqlassist_1', 'select topic', 'update author', 'commit']
      assert.equal(sent, [begin, ...before, ...later, ...end])
      const { author, book, book_topics } = (await rows(world.look)) as any
      assert.equal(
        author.map(({ name, version }: any) => [name, version]),
        [
          ['the rest', 2],
          ['Rob', 2],
        ],
      )
      assert.equal(author[0].address_city, 'Hull')
      assert.equal(
        book.map(({ title }: any) => title),
        ['one', 'two', 'three'],
      )
      assert.is(book_topics.length, 3)
    })

    test('what was pending at the savepoint is flushed by it, and is committed after its rollback', async (world) => {
      await play(world, async ({ em, txn }) => {
        em.create(Topic, { label: 'pending' })
        const savepoint = await txn.savepoint()
        await savepoint.rollback()
      })
      assert.is(await world.look.value(`select count(*) from topic where label = 'pending'`), 1)
    })

    test('an entity created later is new again, and is inserted once when it is persisted again', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        const ada = await em.findOneOrFail(Author, 1)
        const savepoint = await txn.savepoint()
        const author = em.create(Author, { name: 'new' })
        const book = em.create(Book, { title: 'new', author, topics: [em.getReference(Topic, 3)] })
        const note = em.create(Note, { text: 'new' })
        await em.flush()
        const { key } = note
        author.name = 'newer'
        await em.flush()
        assert.equal([author.version, book.id > 0], [2, true])
        assert.is((helper(book) as any).__identifier.getValue(), book.id)
        await savepoint.rollback()
        assert.is(helper(book).__identifier, undefined)
        assert.equal(
          [author.id, author.name, author.version, book.id, note.key],
          [undefined, 'new', undefined, undefined, key],
        )
        for (const entity of [author, book, note, ada])
          assert.is(em.getUnitOfWork().getIdentityMap().values().includes(entity), entity === ada)
        em.persist(book).persist(note)
      })
      const after = sent.slice(sent.indexOf('rollback to sqlassist_1') + 1)
      assert.equal(
        after.toSorted(),
        ['select topic', 'insert author', 'insert book', 'insert note', 'insert book_topics', 'commit'].toSorted(),
      )
      assert.equal(
        await world.look
          .rows(`select a.name, a.version, b.title, t.label from author a join book b on b.author_id = a.id
        join book_topics bt on bt.book_id = b.id join topic t on t.id = bt.topic_id where a.id > 2`),
        [{ name: 'new', version: 1, title: 'new', label: 'air' }],
      )
      assert.is(await world.look.value('select count(*) from note'), 1)
    })

    test('an entity that was persisted and never flushed is not written either', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        const savepoint = await txn.savepoint()
        em.create(Topic, { label: 'never' })
        em.create(Note, { key: '6f5e1a3c-0000-4000-8000-000000000000', text: 'never' })
        await savepoint.rollback()
      })
      assert.equal(sent, [])
    })

    test('an entity removed later is managed again, flushed or not', async (world) => {
      await play(world, async ({ em, txn }) => {
        const topics = await em.find(Topic, {}, { orderBy: { id: 'asc' } })
        const book = await em.findOneOrFail(Book, 1, { populate: ['topics'] })
        const savepoint = await txn.savepoint()
        em.remove(book.topics[0])
        await em.flush()
        em.remove(topics[2])
        await savepoint.rollback()
        assert.equal(
          topics.map((topic: any) => em.getUnitOfWork().getById(Topic, topic.id) === topic),
          [true, true, true],
        )
        assert.equal(book.topics.getIdentifiers(), [1, 2])
        topics[0].label = 'ocean'
      })
      assert.equal(await world.look.rows('select label from topic order by id'), [
        { label: 'ocean' },
        { label: 'land' },
        { label: 'air' },
      ])
    })

    test('the rollback of an inner savepoint leaves the outer one, whose rollback makes the inner invalid', async (world) => {
      await play(world, async ({ em, txn }) => {
        const ada = await em.findOneOrFail(Author, 1)
        ada.name = 'before'
        const outer = await txn.savepoint()
        ada.name = 'between'
        const inner = await txn.savepoint()
        ada.name = 'inside'
        em.create(Topic, { label: 'inside' })
        await inner.rollback()
        assert.is(ada.name, 'between')
        ada.name = 'inside again'
        await outer.rollback()
        assert.equal([ada.name, inner.valid, outer.valid], ['before', false, true])
        assert.is(((await rejection(inner.rollback())) as any).code, 'SQLASSIST_INVALID_SAVEPOINT')
        const third = await txn.savepoint()
        em.create(Topic, { label: 'third' })
        await third.rollback()
      })
      const { author, topic } = (await rows(world.look)) as any
      assert.equal([author[0].name, topic.length], ['before', 3])
    })

    test('a savepoint may be rolled back again, after other things were written', async (world) => {
      await play(world, async ({ em, txn }) => {
        const ada = await em.findOneOrFail(Author, 1, { populate: ['books'] })
        const savepoint = await txn.savepoint()
        const memory = memoryOf(em)
        ada.name = 'first'
        ada.settings.colours.push('first')
        ada.books.removeAll()
        await em.flush()
        await savepoint.rollback()
        assert.equal(memoryOf(em, memory), memory)
        ada.settings.colours.push('second')
        ada.books.add(em.create(Book, { title: 'second' }))
        await em.flush()
        await savepoint.rollback()
        assert.equal(memoryOf(em, memory), memory)
        ada.name = 'third'
      })
      const { author, book } = (await rows(world.look)) as any
      assert.equal(
        [author[0].name, book.length, book.filter((one: any) => one.author_id === 1).length],
        ['third', 3, 2],
      )
    })

    test('a session that has sent nothing is taken back to having sent nothing, and begins anew', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        const savepoint = await txn.savepoint()
        for (const label of ['once', 'twice']) {
          em.create(Topic, { label })
          await em.flush()
          await savepoint.rollback()
          assert.equal(memoryOf(em), [])
        }
        em.create(Topic, { label: 'at last' })
      })
      const excursion = [begin, 'insert topic', 'rollback']
      assert.equal(sent, [...excursion, ...excursion, begin, 'insert topic', 'commit'])
      assert.equal(await world.look.rows('select label from topic where id > 3'), [{ label: 'at last' }])
    })

    test('an entity loaded before em.rollback() is read anew in a new database transaction, and its changes are written', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        const savepoint = await txn.savepoint()
        const ada = await em.findOneOrFail(Author, 1)
        for (const name of ['once', 'twice']) {
          ada.name = name
          await em.flush()
          await savepoint.rollback()
          assert.equal([ada.name, ada.version], ['Ada', 1])
        }
        ada.name = 'at last'
      })
      const change = ['update author', 'rollback', begin, 'select author']
      assert.equal(sent, [begin, 'select author', ...change, ...change, 'update author', 'commit'])
      assert.is(await world.look.value('select name from author where id = 1'), 'at last')
    })

    test('a savepoint that nothing is read or written around sends nothing', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        void em.name
        const savepoint = await txn.savepoint()
        const inner = await txn.savepoint()
        await inner.rollback()
        await savepoint.rollback()
      })
      assert.equal(sent, [])
    })

    test('a session first opened later is rolled back with all it did, and goes on as it was opened', async (world) => {
      await run(world.registry, disabled, async ({ txn }) => {
        void txn
      })
      const unit = world.registry.start({ owner: undefined, anyPreference: [], disableTransaction: disabled })
      const txn = await unit.tm.begin()
      const container = unit.container as any
      const savepoint = await txn.savepoint()
      for (const label of ['first', 'second']) {
        const em = container.writer
        em.create(Topic, { label })
        await em.flush()
        await savepoint.rollback()
        assert.equal([container.writer === em, container.status.writer], [true, 'START'])
        assert.is(await em.count(Topic), 3)
      }
      container.writer.create(Topic, { label: 'third' })
      await unit.commit()
      assert.equal(await world.look.rows('select label from topic where id > 3'), [{ label: 'third' }])
    })

    test('after a statement that failed, the rollback makes the session work and commit again', async (world) => {
      await play(world, async ({ em, txn }) => {
        const ada = await em.findOneOrFail(Author, 1)
        ada.name = 'kept'
        const savepoint = await txn.savepoint()
        em.create(Topic, { label: 'sea' })
        assert.is((await rejection(em.flush())).name, 'UniqueConstraintViolationException')
        await rejection(em.execute('select * from nowhere'))
        await savepoint.rollback()
        assert.is(await em.count(Topic), 3)
        em.create(Topic, { label: 'fire' })
      })
      assert.is(await world.look.value('select name from author where id = 1'), 'kept')
      assert.is(await world.look.value(`select count(*) from topic where label = 'fire'`), 1)
    })

    test('a session that only wrote after the savepoint is rolled back in the end', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        await em.count(Author)
        const savepoint = await txn.savepoint()
        em.create(Topic, { label: 'undone' })
        await em.flush()
        await savepoint.rollback()
      })
      assert.is(sent.at(-1), 'rollback')
    })

    test('raw SQL that wrote later and was not marked is forgotten, and that from before is not', async (world) => {
      const seen = await warnings('SQLASSIST_UNMARKED_WRITE', async () => {
        await play(world, async ({ em, txn }) => {
          await em.execute(`select * from author`)
          await em.execute(`update author set name = 'before'`)
          const savepoint = await txn.savepoint()
          await em.execute(`update author set name = 'later'`)
          await savepoint.rollback()
        })
        await play(world, async ({ em, txn }) => {
          await em.execute(`select * from author`)
          const savepoint = await txn.savepoint()
          await em.execute(`update author set name = 'later'`)
          await savepoint.rollback()
        })
      })
      assert.equal(
        seen.map(({ message }) => /'\w+'/.exec(message)?.[0]),
        [`'before'`],
      )
    })

    test('a mark made later is taken back, one from before stays', async (world) => {
      const marked = (first: boolean) =>
        play(world, async ({ em, txn }) => {
          await em.count(Author)
          if (first) markChanged(em)
          const savepoint = await txn.savepoint()
          if (!first) markChanged(em)
          await savepoint.rollback()
        })
      assert.is((await marked(true)).at(-1), 'commit')
      assert.is((await marked(false)).at(-1), 'rollback')
    })

    test('em.transactional() before, after and around its savepoints is not in its way', async (world) => {
      const sent = await play(world, async ({ em, txn }) => {
        await em.transactional((nested: any) => void nested.create(Topic, { label: 'before' }))
        const savepoint = await txn.savepoint()
        await em.transactional((nested: any) => void nested.create(Topic, { label: 'later' }))
        const kept = await em.findOneOrFail(Author, 1)
        await rejection(
          em.transactional(async (nested: any) => {
            kept.name = 'failed'
            nested.create(Topic, { label: 'failed' })
            await nested.flush()
            throw new Error('given up')
          }),
        )
        await savepoint.rollback()
        await em.transactional((nested: any) => void nested.create(Topic, { label: 'after' }))
      })
      assert.ok(sent.includes('savepoint trx1') && sent.includes('savepoint sqlassist_1'))
      const labels = await world.look.rows('select label from topic where id > 3 order by id')
      assert.equal(
        labels.map(({ label }) => label),
        ['before', 'after'],
      )
      assert.is(await world.look.value('select name from author where id = 1'), 'Ada')
    })

    test('an entity inserted in em.transactional() is new again as well', async (world) => {
      await play(world, async ({ em, txn }) => {
        await em.count(Topic)
        const savepoint = await txn.savepoint()
        let topic: any
        await em.transactional((nested: any) => void (topic = nested.create(Topic, { label: 'nested' })))
        assert.ok(topic.id > 3)
        await savepoint.rollback()
        assert.is(topic.id, undefined)
        em.persist(topic)
      })
      assert.is(await world.look.value(`select count(*) from topic where label = 'nested'`), 1)
    })

    test('inside em.transactional() a savepoint is refused, and the transaction has failed', async (world) => {
      const error = await rejection(
        play(world, async ({ em, txn }) => {
          em.create(Topic, { label: 'lost' })
          await em.transactional(async () => {
            await txn.savepoint()
          })
        }),
      )
      assert.instance(error, NestedTransactionOpenError)
      assert.match(error.message, /txn\.savepoint\(\) .* "writer"/)
      assert.is(await world.look.value('select count(*) from topic'), 3)
    })

    test('inside em.transactional() the rollback of an older savepoint is refused, and the transaction has failed', async (world) => {
      const error = await rejection(
        play(world, async ({ em, txn }) => {
          em.create(Topic, { label: 'lost' })
          const savepoint = await txn.savepoint()
          await em.transactional(async () => {
            await savepoint.rollback()
          })
        }),
      )
      assert.instance(error, NestedTransactionOpenError)
      assert.is(await world.look.value('select count(*) from topic'), 3)
    })

    test('a flush that fails while the savepoint is made fails the transaction, and nothing is kept', async (world) => {
      const error = await rejection(
        play(world, async ({ em, txn }) => {
          em.create(Topic, { label: 'first' })
          await em.flush()
          em.create(Topic, { label: 'sea' })
          await txn.savepoint()
        }),
      )
      assert.is(error.name, 'UniqueConstraintViolationException')
      assert.is(await world.look.value('select count(*) from topic'), 3)
    })

    test('a savepoint after a failed statement whose error was caught is refused, with that error as cause', async (world) => {
      const work: Work = async ({ em, txn }) => {
        em.create(Topic, { label: 'first' })
        await em.flush()
        await rejection(em.execute('select * from nowhere'))
        await txn.savepoint()
      }
      const error = (await rejection(play(world, work))) as any
      assert.equal([error.code, /nowhere/.test(String(error.cause))], ['SQLASSIST_TRANSACTION_ABORTED', true])
      assert.is(await world.look.value('select count(*) from topic'), 3)
    })

    test('em.rollback() takes the session back to its beginning, and its savepoints with it', async (world) => {
      const error = (await rejection(
        play(world, async ({ em, txn }) => {
          await em.count(Author)
          const savepoint = await txn.savepoint()
          await em.rollback()
          await savepoint.rollback()
        }),
      )) as any
      assert.equal([error.code, /em\.rollback\(\)/.test(error.message)], ['SQLASSIST_INVALID_SAVEPOINT', true])
      await play(world, async ({ em, txn }) => {
        const savepoint = await txn.savepoint()
        em.create(Topic, { label: 'undone' })
        await em.rollback()
        em.create(Topic, { label: 'undone too' })
        await em.flush()
        await savepoint.rollback()
        em.create(Topic, { label: 'kept' })
      })
      assert.equal(await world.look.rows('select label from topic where id > 3'), [{ label: 'kept' }])
    })

    if (disabled) {
      test('em.commit() makes the savepoints before it invalid', async (world) => {
        for (const isBegun of [false, true]) {
          const error = (await rejection(
            play(world, async ({ em, txn }) => {
              if (isBegun) await em.count(Topic)
              const savepoint = await txn.savepoint()
              em.create(Topic, { label: `committed ${isBegun}` })
              await em.commit()
              await savepoint.rollback()
            }),
          )) as any
          assert.equal([error.code, /em\.commit\(\)/.test(error.message)], ['SQLASSIST_INVALID_SAVEPOINT', true])
        }
        assert.is(await world.look.value('select count(*) from topic'), 5)
      })
    }

    test('a savepoint of children and their owner keeps orphan removal as it was', async (world) => {
      await play(world, async ({ em, txn }) => {
        const book = await em.findOneOrFail(Book, 1, { populate: ['chapters'] })
        const savepoint = await txn.savepoint()
        const memory = memoryOf(em)
        const [first] = book.chapters
        book.chapters.remove(first)
        await em.flush()
        book.chapters.removeAll()
        await savepoint.rollback()
        assert.equal(memoryOf(em, memory), memory)
        book.chapters.remove(book.chapters[1])
      })
      assert.equal(await world.look.rows('select id from chapter'), [{ id: 1 }])
    })

    test('without savepoints nothing is registered and nothing remembered', async () => {
      const { registry, orm, close } = await openWorld(dialect)
      const subscribers = () => orm.em.getEventManager().getSubscribers().size
      const before = subscribers()
      for (const [work, more] of [
        [() => undefined, 0],
        [({ txn }: any) => txn.savepoint(), 1],
      ] as const) {
        await run(registry, disabled, async (context) => {
          context.em.create(Topic, { label: `with ${more}` })
          await context.em.flush()
          await work(context)
          assert.is(sessionOfEntityManager(context.em)?.savepoints === undefined, more === 0)
        })
        assert.is(subscribers(), before + more)
      }
      await close()
    })

    test.run()
  }
}
