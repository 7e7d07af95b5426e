import * as assert from 'uvu/assert'
import { EngineRegistry, sessionOf } from '../../source/index.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import {
  Author,
  Book,
  brief,
  fillTables,
  memoryOf,
  openWorld,
  rows,
  run,
  Topic,
  type State,
  type World,
} from '../memory/savepoint-world.ts'

const ROLES = ['writer', 'archive', 'local'] as const
type Role = (typeof ROLES)[number]

interface Worlds {
  /** Two PostgreSQL databases and a SQLite file. */
  all: Record<Role, World>
  registry: EngineRegistry<any>
}

for (const disabled of [false, true]) {
  const test = suite<Worlds>(`savepoints across three roles${disabled ? ', transactions disabled' : ''}`)
  test.before(async (worlds) => {
    worlds.all = {
      writer: await openWorld('postgresql', 'writer'),
      archive: await openWorld('postgresql', 'archive'),
      local: await openWorld('sqlite', 'local'),
    }
    worlds.registry = new EngineRegistry({
      writer: worlds.all.writer.orm,
      archive: worlds.all.archive.orm,
      local: worlds.all.local.orm,
    } as any)
  })
  test.before.each(async ({ all }) => {
    for (const role of ROLES) await fillTables(all[role])
  })
  test.after(async ({ all, registry }) => {
    await registry.close()
    for (const role of ROLES.toReversed()) await all[role].close()
  })

  test('rows and memory of all of them are as at the savepoint, and each commits exactly the rest', async (worlds) => {
    const { all, registry } = worlds
    for (const role of ROLES) all[role].recording.reset()
    await run(registry, disabled, async ({ txn, dbSession }) => {
      const states = []
      for (const role of ROLES) {
        const em = dbSession[role]
        const [ada, bob] = await em.find(Author, {}, { orderBy: { id: 'asc' }, populate: ['books.topics'] })
        ada.name = `before, ${role}`
        states.push({ em, ada, bob, memory: [] as State[] })
      }
      const savepoint = await txn.savepoint()
      for (const state of states) state.memory = memoryOf(state.em)
      for (const { em, ada, bob } of states) {
        ada.name = 'later'
        ada.books[0].topics.removeAll()
        em.create(Book, { title: 'later', author: bob })
        em.remove(ada.books[1])
        await em.flush()
        em.create(Topic, { label: 'pending' })
      }
      const inner = await txn.savepoint()
      for (const { bob } of states) bob.name = 'inner'
      await inner.rollback()
      await savepoint.rollback()
      for (const { em, memory } of states) assert.equal(memoryOf(em, memory), memory)
      for (const { bob } of states.slice(1)) bob.name = 'the rest'
    })
    for (const role of ROLES) {
      const { author, book, book_topics } = (await rows(all[role].look)) as any
      const second = role === 'writer' ? 'Bob' : 'the rest'
      assert.equal(
        author.map(({ name }: any) => name),
        [`before, ${role}`, second],
      )
      assert.equal([book.length, book_topics.length], [3, 3])
      const sent = brief(all[role].recording.sql())
      const afterwards = sent.slice(sent.indexOf('rollback to sqlassist_1') + 1)
      // Beside how the databases agree on the commit.
      const written = afterwards.filter((statement) => /^(insert|update|delete) (?!sqlassist|public)/.test(statement))
      assert.equal(written, role === 'writer' ? [] : ['update author'])
    }
  })

  test('a role first opened later is as at its opening after the rollback, and goes on', async ({ all, registry }) => {
    await run(registry, disabled, async ({ em, txn, dbSession }) => {
      em.create(Topic, { label: 'writer' })
      const savepoint = await txn.savepoint()
      const first = dbSession.local
      first.create(Topic, { label: 'first' })
      await first.flush()
      const [land] = await first.find(Topic, { label: 'land' })
      land.label = 'inside'
      await first.flush()
      await savepoint.rollback()
      assert.equal([await first.count(Topic), land.label, await first.findOne(Topic, land.id)], [3, 'land', land])
      assert.equal(dbSession.status, { writer: 'START', archive: 'INIT', local: 'START' })
      land.label = 'changed again'
      dbSession.local.create(Topic, { label: 'second' })
      const again = await txn.savepoint()
      dbSession.archive.create(Topic, { label: 'archive' })
      dbSession.local.create(Topic, { label: 'third' })
      await dbSession.local.flush()
      await again.rollback()
      await savepoint.rollback()
      dbSession.local.create(Topic, { label: 'fourth' })
    })
    const labels = async (role: Role) => await all[role].look.rows('select label from topic where id > 3')
    assert.equal(await labels('writer'), [{ label: 'writer' }])
    assert.equal(await labels('archive'), [])
    assert.equal(await labels('local'), [{ label: 'fourth' }])
    assert.is(await all.local.look.value(`select count(*) from topic where label = 'land'`), 1)
  })

  test('an entity that is new again belongs to no role, and another one may insert it', async ({ all, registry }) => {
    await run(registry, disabled, async ({ em, txn, dbSession }) => {
      await em.count(Topic)
      const savepoint = await txn.savepoint()
      const topic = em.create(Topic, { label: 'moved' })
      await em.flush()
      assert.is(sessionOf(topic), em)
      await savepoint.rollback()
      assert.is(sessionOf(topic), undefined)
      dbSession.archive.persist(topic)
    })
    const count = `select count(*) from topic where label = 'moved'`
    assert.equal([await all.writer.look.value(count), await all.archive.look.value(count)], [0, 1])
  })

  test('a statement that failed in one role is forgotten by the rollback, and all three commit', async ({
    all,
    registry,
  }) => {
    await run(registry, disabled, async ({ txn, dbSession }) => {
      for (const role of ROLES) dbSession[role].create(Topic, { label: 'before' })
      const savepoint = await txn.savepoint()
      for (const role of ROLES) dbSession[role].create(Topic, { label: 'later' })
      for (const role of ROLES) await dbSession[role].flush()
      dbSession.archive.create(Topic, { label: 'sea' })
      await rejection(dbSession.archive.flush())
      await savepoint.rollback()
      for (const role of ROLES) dbSession[role].create(Topic, { label: 'after' })
    })
    for (const role of ROLES) {
      const labels = await all[role].look.rows('select label from topic where id > 3 order by label')
      assert.equal(labels, [{ label: 'after' }, { label: 'before' }])
    }
  })

  test.run()
}

const test = suite<Worlds>('savepoints beside roles that are no part of the transaction')
test.before(async (worlds) => {
  worlds.all = {
    writer: await openWorld('sqlite', 'writer'),
    archive: await openWorld('sqlite', 'archive'),
    local: await openWorld('sqlite', 'local'),
  }
  worlds.registry = new EngineRegistry({
    writer: worlds.all.writer.orm,
    archive: { orm: worlds.all.archive.orm, commit: 'autonomous' },
    local: { orm: worlds.all.local.orm, readOnly: true },
  } as any)
})
test.before.each(async ({ all }) => {
  for (const role of ROLES) await fillTables(all[role])
})
test.after(async ({ all, registry }) => {
  await registry.close()
  for (const role of ROLES.toReversed()) await all[role].close()
})

test('what an autonomous role wrote stays, and a read-only one keeps what it loaded', async ({ all, registry }) => {
  await run(registry, false, async ({ em, txn, dbSession }) => {
    const savepoint = await txn.savepoint()
    em.create(Topic, { label: 'writer' })
    dbSession.archive.create(Topic, { label: 'archive' })
    await dbSession.archive.flush()
    const read = await dbSession.local.findOneOrFail(Author, 1)
    await savepoint.rollback()
    assert.is(dbSession.local.getUnitOfWork().getById(Author, 1), read)
  })
  assert.is(await all.writer.look.value('select count(*) from topic'), 3)
  assert.is(await all.archive.look.value(`select count(*) from topic where label = 'archive'`), 1)
})

test.run()
