import * as assert from 'uvu/assert'
import { EngineRegistry, ManagedSessionError } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'

interface World {
  registry: EngineRegistry<{ writer: TestOrm }>
}

for (const dialect of DIALECTS) {
  const test = databaseSuite<World>(`em.transactional in a session on ${dialect}`, dialect)

  test.before((world) => void (world.registry = new EngineRegistry({ writer: world.orm })))

  const names = (look: SecondLook): Promise<unknown[]> => authorNames(look, 'name')

  const fail = () => Promise.reject(new Error('inner'))

  test('an inner failure that is caught undoes the inner work alone', async ({ registry, look }) => {
    await registry.run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      await em.insert(Author, { name: 'before' })
      await rejection(
        em.transactional(async (nested: any) => {
          await nested.insert(Author, { name: 'inner' })
          await fail()
        }),
      )
      await em.insert(Author, { name: 'after' })
    })
    assert.equal(await names(look), ['after', 'before'])
  })

  test('what was pending before a nested transaction survives its rollback', async ({ registry, look }) => {
    await registry.run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      em.persist(em.create(Author, { name: 'pending' }))
      await rejection(em.transactional(fail))
    })
    assert.equal(await names(look), ['pending'])
  })

  test('nested transactions at the same time lose nothing, whichever of them fails', async ({ registry, look }) => {
    await registry.run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      const inserted = (name: string, end: () => Promise<unknown>) =>
        em.transactional(async (nested: any) => {
          await nested.insert(Author, { name })
          await end()
        })
      const ends = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, index) =>
        inserted(name, index % 2 === 0 ? fail : () => Promise.resolve()),
      )
      const settled = await Promise.allSettled(ends)
      assert.equal(
        settled.map(({ status }) => status === 'fulfilled'),
        [false, true, false, true, false, true],
      )
    })
    assert.equal(await names(look), ['b', 'd', 'f'])
  })

  test('in a role that commits every statement, the outer entity manager used inside nests inside, or is refused where it would wait for itself', async ({
    orm,
    look,
  }) => {
    const registry = new EngineRegistry<any>({ writer: { orm, commit: 'autocommit' } })
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await writer.transactional(async (em: any) => {
        await em.insert(Author, { name: 'inside' })
        await rejection(
          writer.transactional(async (nested: any) => {
            await nested.insert(Author, { name: 'nested' })
            await fail()
          }),
        )
        if (dialect === 'postgresql') return void (await writer.count(Author))
        const error: any = await rejection(writer.count(Author))
        assert.is(error.code, 'SQLASSIST_OUTSIDE_TRANSACTION')
        assert.match(error.message, /the entity manager that its callback is given/)
      })
    })
    assert.equal(await names(look), ['inside'])
  })

  test('the outer entity manager used inside nests inside, and does not wait for itself', async ({
    registry,
    look,
  }) => {
    await registry.run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      await em.transactional(async () => {
        await em.insert(Author, { name: 'outer' })
        await rejection(
          em.transactional(async (nested: any) => {
            await nested.insert(Author, { name: 'inner' })
            await fail()
          }),
        )
      })
    })
    assert.equal(await names(look), ['outer'])
  })

  test('an error out of a nested transaction that nobody catches aborts everything', async ({ registry, look }) => {
    const error = await rejection(
      registry.run(async ({ dbSession }) => {
        const em: any = dbSession.writer
        await em.insert(Author, { name: 'before' })
        await em.transactional(fail)
      }),
    )
    assert.is(error.message, 'inner')
    assert.equal(await names(look), [])
  })

  test('begin, commit and rollback are refused on a joined session where they are not its own', async ({
    registry,
  }) => {
    await registry.run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      for (const call of [() => em.begin(), () => em.commit()])
        assert.instance(await rejection(call()), ManagedSessionError)
      await em.transactional(async (nested: any) => {
        for (const call of [() => nested.begin(), () => nested.commit(), () => nested.rollback()]) {
          assert.instance(await rejection(call()), ManagedSessionError)
        }
      })
      assert.throws(() => em.getKysely().transaction(), /"writer"/)
      assert.throws(() => em.getKysely().connection(), /kysely\.connection\(\)/)
      assert.throws(() => em.getKysely().startTransaction(), /kysely\.startTransaction\(\)/)
      assert.throws(() => em.getKysely().destroy(), /kysely\.destroy\(\)/)
    })
  })

  test.run()
}
