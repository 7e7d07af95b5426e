import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'
import { Author, brief, fillTables, openWorld, run, Topic, type Work, type World } from '../memory/savepoint-world.ts'

interface Worlds {
  writer: World
  other: World
  registry: EngineRegistry<any>
}

for (const dialect of DIALECTS) {
  for (const disabled of [false, true]) {
    const test = suite<Worlds>(`em.rollback() on ${dialect}${disabled ? ', transactions disabled' : ''}`)
    test.before(async (worlds) => {
      worlds.writer = await openWorld(dialect, 'writer')
      worlds.other = await openWorld('postgresql', 'other')
      worlds.registry = new EngineRegistry<any>(
        { writer: worlds.writer.orm, other: worlds.other.orm },
        { recover: false },
      )
      // A new registry asks in the background what its servers can prepare, which is a statement as well.
      await worlds.registry.commitPlanner.advise()
    })
    test.before.each(async ({ writer, other }) => {
      for (const world of [writer, other]) await fillTables(world)
    })
    test.after(async ({ writer, other, registry }) => {
      await registry.close()
      for (const world of [other, writer]) await world.close()
    })

    const begin = dialect === 'sqlite' ? 'begin immediate' : 'begin'

    /** Plays one unit of work; what was sent to the writer's database. */
    async function play({ registry, writer }: Worlds, work: Work): Promise<string[]> {
      writer.recording.reset()
      await run(registry, disabled, work)
      // The rollback of what only read is not waited for.
      await ormsIdle(writer.orm)
      return brief(writer.recording.sql())
    }

    const added = async ({ look }: World): Promise<unknown[]> =>
      (await look.rows('select label from topic where id > 3 order by id')).map(({ label }) => label)

    test('undoes this session alone, which goes on; other roles are not touched', async (worlds) => {
      await play(worlds, async ({ em, dbSession }) => {
        dbSession.other.create(Topic, { label: 'other, flushed' })
        await dbSession.other.flush()
        const kept = dbSession.other.create(Topic, { label: 'other, pending' })
        em.create(Topic, { label: 'undone' })
        await em.flush()
        em.create(Topic, { label: 'never written' })
        await em.rollback()
        assert.ok(dbSession.other.getUnitOfWork().getPersistStack().has(kept))
        assert.is(dbSession.writer, em)
        em.create(Topic, { label: 'kept' })
      })
      assert.equal(await added(worlds.writer), ['kept'])
      assert.equal(await added(worlds.other), ['other, flushed', 'other, pending'])
    })

    test('em.rollback() rolls back, and the next statement begins anew', async (worlds) => {
      const sent = await play(worlds, async ({ em }) => {
        em.create(Topic, { label: 'undone' })
        await em.flush()
        await em.rollback()
        em.create(Topic, { label: 'kept' })
      })
      assert.equal(sent, [begin, 'insert topic', 'rollback', begin, 'insert topic', 'commit'])
      assert.equal(await added(worlds.writer), ['kept'])
    })

    test('the rows are gone for others before the unit of work ends, and the lock on them is', async (worlds) => {
      await play(worlds, async ({ em }) => {
        const ada = await em.findOneOrFail(Author, 1)
        ada.name = 'locked'
        await em.flush()
        await em.rollback()
        await worlds.writer.look.rows(`update author set name = 'second look' where id = 1`)
      })
      assert.is(await worlds.writer.look.value('select name from author where id = 1'), 'second look')
    })

    test('the session forgets its entities: they are read anew, and what was changed on the old ones is not written', async (worlds) => {
      await play(worlds, async ({ em }) => {
        const ada = await em.findOneOrFail(Author, 1)
        ada.name = 'changed'
        await em.flush()
        await em.rollback()
        ada.name = 'changed again'
        const again = await em.findOneOrFail(Author, 1)
        assert.equal([again === ada, again.name, again.version], [false, 'Ada', 1])
        again.name = 'kept'
      })
      assert.is(await worlds.writer.look.value('select name from author where id = 1'), 'kept')
    })

    test('with nothing begun it sends nothing', async (worlds) => {
      const sent = await play(worlds, async ({ em }) => {
        await em.rollback()
        em.create(Topic, { label: 'never written' })
        await em.rollback()
      })
      assert.equal(sent, [])
      assert.equal(await added(worlds.writer), [])
    })

    test('twice in a row, and again after more was written', async (worlds) => {
      await play(worlds, async ({ em }) => {
        for (const label of ['first', 'second', 'third']) {
          em.create(Topic, { label })
          await em.flush()
          await em.rollback()
          await em.rollback()
        }
        em.create(Topic, { label: 'kept' })
      })
      assert.equal(await added(worlds.writer), ['kept'])
    })

    test('after a statement that failed, the session works and commits again', async (worlds) => {
      await play(worlds, async ({ em }) => {
        em.create(Topic, { label: 'sea' })
        await rejection(em.flush())
        await rejection(em.execute('select nothing from nowhere'))
        await em.rollback()
        em.create(Topic, { label: 'kept' })
      })
      assert.equal(await added(worlds.writer), ['kept'])
    })

    test('a session that wrote and rolled back, and only read since, is not committed', async (worlds) => {
      const sent = await play(worlds, async ({ em }) => {
        em.create(Topic, { label: 'undone' })
        await em.flush()
        await em.rollback()
        await em.count(Topic)
      })
      assert.equal(sent, [begin, 'insert topic', 'rollback', begin, 'select topic', 'rollback'])
    })

    test('raw SQL that was not marked is undone without a warning', async (worlds) => {
      const seen = await warnings('SQLASSIST_UNMARKED_WRITE', async () => {
        await play(worlds, async ({ em }) => {
          await em.execute(`insert into topic (label) values ('raw')`)
          await em.rollback()
        })
      })
      assert.equal(seen, [])
      assert.equal(await added(worlds.writer), [])
    })

    test('inside em.transactional() it is refused, and what was written stays', async (worlds) => {
      await play(worlds, async ({ em }) => {
        await em.transactional(async (nested: any) => {
          nested.create(Topic, { label: 'kept' })
          await nested.flush()
          assert.is(((await rejection(nested.rollback())) as any).code, 'SQLASSIST_MANAGED_SESSION')
          assert.is(((await rejection(em.rollback())) as any).code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
          const commit = disabled ? 'SQLASSIST_NESTED_TRANSACTION_OPEN' : 'SQLASSIST_MANAGED_SESSION'
          assert.is(((await rejection(em.commit())) as any).code, commit)
        })
      })
      assert.equal(await added(worlds.writer), ['kept'])
    })

    if (dialect === 'postgresql') {
      test('after the connection was lost, in em.transactional() too, it makes the session usable again', async (worlds) => {
        await play(worlds, async ({ em }) => {
          for (const isNested of [false, true]) {
            em.create(Topic, { label: 'lost' })
            await em.flush()
            const lose = async (inner: any): Promise<void> => {
              const [{ pid }] = await inner.execute('select pg_backend_pid() as pid')
              await worlds.writer.look.rows('select pg_terminate_backend($1)', pid)
              await inner.count(Topic)
            }
            await rejection(isNested ? em.transactional(lose) : lose(em))
            await em.rollback()
          }
          em.create(Topic, { label: 'kept' })
        })
        assert.equal(await added(worlds.writer), ['kept'])
      })
    }

    test.run()
  }
}
