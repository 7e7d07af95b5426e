/** What decorators and libraries of MikroORM's get in a unit of work: its session, or a refusal that shows the way out. */
import { defineEntity, p, RequestContext, TransactionContext } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, ENTITIES } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

/** An entity whose rows come from a query, made by the entity manager that MikroORM hands over. */
const Loud = defineEntity({
  name: 'Loud',
  expression: (em: any) =>
    em
      .createQueryBuilder(Author, 'a')
      .select(['id', 'name'])
      .where({ name: { $like: '%!' } }),
  properties: { id: p.integer(), name: p.string() },
})

/** As the decorators of @mikro-orm/decorators, https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/decorators/src */
async function decorated(respectExistingContext: boolean, em: any, work: () => Promise<unknown>): Promise<unknown> {
  if (respectExistingContext && RequestContext.getEntityManager(em.name) !== undefined) return await work()
  return await (TransactionContext.currentTransactionContext() === undefined
    ? RequestContext.create(em, work)
    : TransactionContext.create(em.fork({ useContext: true }), work))
}
const ensureRequestContext = (em: any, work: () => Promise<unknown>) => decorated(true, em, work)
const createRequestContext = (em: any, work: () => Promise<unknown>) => decorated(false, em, work)

/** As Seeder.call() of @mikro-orm/seeder. */
async function callSeeder(em: any): Promise<void> {
  const fork = em.fork()
  fork.create(Author, { name: 'seeded' })
  await fork.flush()
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`contexts that others borrow on ${dialect}`, dialect, {
    config: { entities: [...ENTITIES, Loud] },
  })
  const names = ({ look }: DatabaseWorld): Promise<unknown[]> => authorNames(look)
  const registryOf = ({ orm }: DatabaseWorld, engine: Partial<EngineOptions> = {}, disableTransaction = false) =>
    new EngineRegistry<any>({ writer: { orm, ...engine } }, { disableTransaction })

  const KINDS: Record<string, [engine: Partial<EngineOptions>, disableTransaction?: boolean]> = {
    joined: [{}],
    autonomous: [{ commit: 'autonomous' }],
    autocommit: [{ commit: 'autocommit' }],
    disabled: [{}, true],
  }
  const PLACES: Record<string, (writer: any, work: (em: any) => Promise<unknown>) => Promise<unknown>> = {
    'in a unit': (writer, work) => work(writer),
    'in em.transactional()': (writer, work) => writer.transactional((em: any) => work(em)),
  }
  for (const [kind, [engine, disableTransaction]] of Object.entries(KINDS)) {
    for (const [place, inPlace] of Object.entries(PLACES)) {
      test(`what wants a request context gets the session (${kind}, ${place})`, async (world) => {
        const { em }: any = world.orm
        await registryOf(world, engine, disableTransaction).run(async ({ dbSession: { writer } }: any) => {
          await inPlace(writer, async (own) => {
            await ensureRequestContext(em, async () => {
              assert.is(em.getContext(false), own)
              em.create(Author, { name: 'by a service' })
              await em.flush()
            })
          })
        })
        assert.equal(await names(world), ['by a service'])
      })

      if (kind === 'autocommit') continue
      const CALLERS: Record<string, [RegExp, (em: any) => Promise<unknown>]> = {
        'RequestContext.create()': [/@CreateRequestContext/, (em) => createRequestContext(em, () => em.flush())],
        'Seeder.call() with the global em': [/Seeder\.call\(\)/, callSeeder],
        'a library that forks': [/many libraries/, async (em) => await em.fork({ clear: false }).count(Author)],
      }
      for (const [caller, [name, call]] of Object.entries(CALLERS)) {
        test(`${caller} is refused and shown the ways out (${kind}, ${place})`, async (world) => {
          const registry = registryOf(world, engine, disableTransaction)
          await registry.run(async ({ dbSession: { writer } }: any) => {
            const refusal: any = await inPlace(writer, () => rejection(call(world.orm.em)))
            assert.is(refusal.code, 'SQLASSIST_OUTSIDE_TRANSACTION')
            for (const way of [name, /em\.fork\(/, /scoped: false/, /registry\.run\(\)/, /ctx\.dbSession\.writer/])
              assert.match(refusal.message, way)
            writer.create(Author, { name: 'goes on' })
          })
          assert.equal(await names(world), ['goes on'])
        })
      }
    }
  }

  test('Seeder.call() with a session is refused, and with a fork of its transaction it is part of it', async (world) => {
    const registry = registryOf(world)
    const ending = registry.run(async ({ dbSession: { writer } }: any) => {
      assert.match(String(await rejection(callSeeder(writer))), /Seeder\.call\(\)/)
      await callSeeder({ fork: () => writer.fork({ keepTransactionContext: true }) })
      assert.is(await writer.count(Author), 1)
      throw new Error('all of it is undone')
    })
    await rejection(ending)
    assert.equal(await names(world), [])
  })

  test('an ORM whose role has scoped: false gives entity managers and contexts of their own', async (world) => {
    const { em }: any = world.orm
    const registry = registryOf(world, { scoped: false })
    const ending = registry.run(async () => {
      assert.is(RequestContext.getEntityManager(em.name), undefined)
      await callSeeder(em)
      await createRequestContext(em, async () => {
        em.create(Author, { name: 'of its own' })
        await em.flush()
      })
      throw new Error('only the unit fails')
    })
    await rejection(ending)
    assert.equal(await names(world), ['seeded', 'of its own'])
  })

  test('a unit gives no context for another role, or another ORM, and leaves theirs alone', async (world) => {
    const other = await openDatabase(dialect)
    const { em }: any = other.orm
    const registry = registryOf(world)
    await RequestContext.create(em, async () => {
      const own = RequestContext.getEntityManager(em.name)
      await registry.run(async ({ dbSession: { writer } }: any) => {
        assert.is(RequestContext.getEntityManager(em.name), own)
        assert.is(RequestContext.getEntityManager(world.orm.em.name), writer)
        assert.is(RequestContext.getEntityManager('nobody'), undefined)
        await new EngineRegistry({ billing: other.orm }).run(async ({ dbSession: { billing } }: any) => {
          assert.is(RequestContext.getEntityManager(other.orm.em.name), billing)
          assert.is(RequestContext.getEntityManager(world.orm.em.name), writer)
        })
      })
    })
    await registry.run(async ({ dbSession: { writer } }: any) => {
      assert.is(RequestContext.getEntityManager(em.name), undefined)
      assert.is(RequestContext.getEntityManager(writer.name), writer)
    })
    assert.is(RequestContext.currentRequestContext(), undefined)
    await other.close()
  })

  test('what wants a context in code that outlives its unit has one of its own', async (world) => {
    const { em }: any = world.orm
    const over = Promise.withResolvers<void>()
    let late: Promise<unknown> | undefined
    await registryOf(world).run(({ dbSession: { writer } }: any) => {
      writer.create(Author, { name: 'of the unit' })
      late = over.promise.then(() =>
        ensureRequestContext(em, async () => {
          em.create(Author, { name: 'of a job' })
          await em.flush()
        }),
      )
    })
    over.resolve()
    await late
    assert.equal(await names(world), ['of the unit', 'of a job'])
  })

  const READERS = { ...KINDS, reading: [{ readOnly: true }], snapshot: [{ readOnly: 'snapshot' }] } as typeof KINDS
  for (const [kind, [engine, disableTransaction]] of Object.entries(READERS)) {
    test(`a virtual entity is read in the transaction of its session (${kind})`, async (world) => {
      await world.look.rows(`insert into author (name) values ('hello!'), ('quiet')`)
      const registry = registryOf(world, engine, disableTransaction)
      const writes = kind in KINDS
      await registry.run(async ({ dbSession: { writer } }: any) => {
        if (writes) await writer.insert(Author, { name: 'new!' })
        const expected = writes ? ['hello!', 'new!'] : ['hello!']
        for (const em of [writer, world.orm.em as any]) {
          const found = await em.find(Loud, {}, { orderBy: { name: 1 } })
          assert.equal(
            found.map(({ name }: any) => name),
            expected,
          )
          assert.is(await em.count(Loud, {}), expected.length)
        }
        if (kind !== 'autocommit') assert.match(String(await rejection((async () => writer.fork())())), /em\.fork\(\)/)
      })
    })
  }

  test.run()
}
