import * as assert from 'uvu/assert'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setImmediate as turn } from 'node:timers/promises'
import { type Configuration, RequestContext, TransactionContext } from '@mikro-orm/core'
import { EngineRegistry, TransientError, UnitOfWorkEndedError } from '../../source/index.ts'
import { authorNames, clearTables } from '../support/authors.ts'
import type { DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, openDatabase, type OrmOptions } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

/** Opens databases that are closed when the test is over. */
const opened: DatabaseWorld[] = []
async function open(dialect: 'sqlite' | 'postgresql', options?: OrmOptions): Promise<DatabaseWorld> {
  const database = await openDatabase(dialect, options)
  opened.push(database)
  return database
}

const names = ({ look }: DatabaseWorld): Promise<unknown[]> => authorNames(look)

async function closeAll(): Promise<void> {
  for (const database of opened.splice(0)) await database.close()
}

/** Ways to work that find the session by MikroORM's own contexts. */
const WAYS: Record<string, (orm: any, name: string) => Promise<unknown>> = {
  'orm.em.insert()': (orm, name) => orm.em.insert(Author, { name }),
  'orm.em.create()': async (orm, name) => orm.em.create(Author, { name }),
  'a repository': (orm, name) => orm.em.getRepository(Author).insert({ name }),
  'orm.em.transactional()': (orm, name) => orm.em.transactional((em: any) => em.insert(Author, { name })),
  'orm.em.transactional() with propagation required': (orm, name) =>
    orm.em.transactional(() => orm.em.insert(Author, { name }), { propagation: 'required' }),
  'the context of its name': (orm, name) => {
    const find = (contexts: { getEntityManager(name: string): any }): any => contexts.getEntityManager(orm.em.name)
    return (find(TransactionContext) ?? find(RequestContext) ?? orm.em).insert(Author, { name })
  },
}

const OUTSIDES: Record<
  string,
  (world: { orm: any; registry: any }, work: (em: any) => Promise<void>) => Promise<void>
> = {
  "a session's em.transactional()": ({ registry }, work) =>
    registry.run(({ dbSession }: any) => dbSession.writer.transactional(work)),
  'orm.em.transactional() of an outer unit': ({ orm, registry }, work) =>
    registry.run(() => orm.em.transactional(work)),
  "MikroORM's orm.em.fork().transactional()": ({ orm }, work) => orm.em.fork().transactional(work),
  'em.transactional() of registry.session()': async ({ registry }, work) => {
    await using session = registry.session('writer')
    await session.transactional(work)
  },
  "MikroORM's RequestContext": ({ orm }, work) =>
    RequestContext.create(orm.em, () => work(RequestContext.getEntityManager(orm.em.name))),
}

const postgres = suite<{ database: DatabaseWorld; registry: EngineRegistry<any> }>(
  'a unit of work inside contexts of MikroORM',
)
postgres.before(async (world) => {
  world.database = await open('postgresql')
  world.registry = new EngineRegistry({ writer: world.database.orm })
})
postgres.before.each(({ database }) => clearTables(database.look))
postgres.after(closeAll)

for (const [outside, enter] of Object.entries(OUTSIDES)) {
  for (const [way, insert] of Object.entries(WAYS)) {
    postgres(`a unit inside ${outside} leaves it behind: ${way} is its own`, async ({ database, registry }) => {
      const error = await rejection(
        enter({ orm: database.orm, registry }, async (em) => {
          await em.insert(Author, { name: 'outer' })
          await registry.run(() => insert(database.orm, 'inner'))
          throw new Error('the outer one fails')
        }),
      )
      assert.is(error.message, 'the outer one fails')
      assert.equal(await names(database), outside.includes('RequestContext') ? ['outer', 'inner'] : ['inner'])
    })
  }
}

postgres('an attempt of an inner run is aborted alone, and the next has a session of its own', async (world) => {
  const { database, registry } = world
  const { em }: any = database.orm
  const seen = new Set<unknown>()
  await registry.run(({ dbSession }: any) =>
    dbSession.writer.transactional(async (outer: any) => {
      await outer.insert(Author, { name: 'outer' })
      await registry.run(
        async ({ tm }) => {
          seen.add(em.getContext(false))
          await em.insert(Author, { name: `attempt ${tm.attempt}` })
          if (tm.attempt === 1) throw new TransientError('once more')
        },
        { attempts: 2 },
      )
      assert.is(em.getContext(false), outer)
    }),
  )
  assert.is(seen.size, 2)
  assert.equal((await names(database)).toSorted(), ['attempt 2', 'outer'])
})

postgres.run()

for (const dialect of DIALECTS) {
  const test = suite(`whose unit it is, on ${dialect}`)
  test.after.each(closeAll)

  test('a job that was started inside em.transactional(), and runs later, has a unit of its own', async () => {
    const database = await open(dialect)
    const registry = new EngineRegistry({ writer: database.orm })
    const outerOver = Promise.withResolvers<void>()
    const jobs: Promise<unknown>[] = []
    await registry.run(async ({ dbSession }: any) => {
      await dbSession.writer.transactional(async (em: any) => {
        await em.insert(Author, { name: 'request' })
        for (const [way, insert] of Object.entries(WAYS)) {
          jobs.push(outerOver.promise.then(() => registry.run(() => insert(database.orm, way))))
        }
      })
    })
    outerOver.resolve()
    await Promise.all(jobs)
    assert.equal((await names(database)).toSorted(), ['request', ...Object.keys(WAYS)].toSorted())
  })

  test('contexts of an ORM that no registry has stay what they are inside a unit', async () => {
    const [ours, legacy] = [await open(dialect), await open(dialect)]
    const { em }: any = legacy.orm
    const registry = new EngineRegistry({ writer: ours.orm })
    await RequestContext.create(em, async () => {
      const fork = em.getContext(false)
      await registry.run(async ({ dbSession }: any) => {
        assert.is(em.getContext(false), fork)
        await dbSession.writer.transactional(() => assert.is(em.getContext(false), fork))
      })
    })
    await em.fork().transactional(async (transaction: any) => {
      await registry.run(() => assert.is(em.getContext(false), transaction))
    })
  })

  test('scoped: false leaves the contexts that the program made alone, but for a session of another unit', async () => {
    const { orm } = await open(dialect)
    const em: any = orm.em
    const registry = new EngineRegistry({ writer: { orm, scoped: false } })
    await RequestContext.create(em, async () => {
      const fork = em.getContext(false)
      await registry.run(() => assert.is(em.getContext(false), fork))
    })
    await em.fork().transactional((own: any) => registry.run(() => assert.is(em.getContext(false), own)))
    await registry.run(({ dbSession }: any) =>
      dbSession.writer.transactional(() => registry.run(() => assert.is(em.getContext(false), em))),
    )
  })

  test('of two registries over one ORM the global orm.em is the session of the innermost unit', async () => {
    const database = await open(dialect)
    const em: any = database.orm.em
    const [one, two] = [new EngineRegistry({ writer: database.orm }), new EngineRegistry({ main: database.orm })]
    const here = (session: unknown) => (): void => assert.is(em.getContext(false), session)
    await two.run(async ({ dbSession: { main } }) => {
      await one.run(async ({ dbSession: { writer } }) => {
        await two.run(({ dbSession }) => here(dbSession.main)())
        here(writer)()
      })
      here(main)()
    })
  })

  test('inside a nested transaction of another role the global orm.em stays in that of its own role', async () => {
    const [a, b] = [await open(dialect), await open(dialect)]
    const registry = new EngineRegistry({
      writer: { orm: a.orm, default: true },
      audit: { orm: b.orm, commit: 'autonomous' },
    })
    const global: any = a.orm.em
    await registry.run(async ({ dbSession: { writer, audit } }: any) => {
      const failed = rejection(
        writer.transactional((outer: any) =>
          audit.transactional(async (em: any) => {
            await em.insert(Author, { name: 'audit' })
            assert.is(global.getContext(false), outer)
            await global.insert(Author, { name: 'lost with its nested transaction' })
            await writer.transactional((inner: any) => inner.insert(Author, { name: 'lost as well' }))
            throw new Error('no')
          }),
        ),
      )
      assert.is((await failed).message, 'no')
      writer.create(Author, { name: 'kept' })
    })
    assert.equal([await names(a), await names(b)], [['kept'], []])
  })

  test('two registries with roles of one name write each into its own database, in a unit and in none', async () => {
    const [shop, billing] = [await open(dialect), await open(dialect)]
    const [inShop, inBilling] = [
      new EngineRegistry({ writer: shop.orm }),
      new EngineRegistry({ writer: { orm: billing.orm } }),
    ]
    await inShop.run(async ({ dbSession: { writer } }: any) => {
      await writer.transactional(async () => {
        await shop.orm.em.insert(Author, { name: 'for shop' })
        await inBilling.run(() => billing.orm.em.insert(Author, { name: 'for billing' }))
        await billing.orm.em.insert(Author, { name: 'in no unit' })
        await inBilling.run(() => shop.orm.em.insert(Author, { name: 'for shop as well' }))
      })
    })
    assert.equal(await names(shop), ['for shop', 'for shop as well'])
    assert.equal(await names(billing), ['for billing', 'in no unit'])
  })

  test('ORMs that the program gave one contextName, known to us or not, do not get what is meant for another', async () => {
    const [shop, billing, foreign] = [
      await open(dialect, { contextName: 'mine' }),
      await open(dialect, { contextName: 'mine' }),
      await open(dialect, { contextName: 'mine' }),
    ]
    const [inShop, inBilling] = [new EngineRegistry({ writer: shop.orm }), new EngineRegistry({ main: billing.orm })]
    const fork = foreign.orm.em.fork()
    await inShop.run(({ dbSession: { writer } }: any) =>
      writer.transactional(async () => {
        await inBilling.run(() => billing.orm.em.insert(Author, { name: 'for billing' }))
        await billing.orm.em.insert(Author, { name: 'in no unit' })
        await fork.transactional(() => shop.orm.em.insert(Author, { name: 'for shop' }))
      }),
    )
    await foreign.orm.em.fork().transactional(() => billing.orm.em.insert(Author, { name: 'past a transaction' }))
    await RequestContext.create(foreign.orm.em, () => billing.orm.em.insert(Author, { name: 'past a request' }))
    assert.equal([await names(shop), await names(foreign)], [['for shop'], []])
    assert.equal(await names(billing), ['for billing', 'in no unit', 'past a transaction', 'past a request'])
  })

  test('code that goes on after its unit may fork, and make contexts of its own', async () => {
    const database = await open(dialect)
    const { em }: any = database.orm
    const registry = new EngineRegistry({ writer: database.orm })
    const over = Promise.withResolvers<void>()
    let worker: Promise<void> | undefined
    let late: Promise<Error> | undefined
    await RequestContext.create(em, () =>
      registry.run(async () => {
        worker = over.promise.then(async () => {
          await em.fork().insert(Author, { name: 'by a fork' })
          await em.fork().transactional(() => em.insert(Author, { name: 'in a transaction' }))
          await RequestContext.create(em, async () => {
            em.create(Author, { name: 'in a request' })
            await em.flush()
          })
          await registry.run(() => em.insert(Author, { name: 'in a unit' }))
        })
        late = rejection(over.promise.then(() => em.insert(Author, { name: 'in the request context around the unit' })))
      }),
    )
    over.resolve()
    await worker
    assert.instance(await late, UnitOfWorkEndedError)
    assert.equal((await names(database)).toSorted(), ['by a fork', 'in a request', 'in a transaction', 'in a unit'])
  })

  test('code of an attempt of run() that goes on after it finds nothing of the next', async () => {
    const database = await open(dialect)
    const { em }: any = database.orm
    const registry = new EngineRegistry({ writer: database.orm })
    const second = Promise.withResolvers<void>()
    const late: Promise<Error>[] = []
    await registry.run(
      async (context) => {
        const { tm, txn, dbSession } = context
        if (tm.attempt === 1) {
          const uses: (() => unknown)[] = [
            () => context.txn.abort(),
            () => context.tm.begin(),
            () => context.dbSession.writer,
            () => tm.begin(),
            () => tm.get(),
            () => tm.doom(),
            () => dbSession.writer,
            () => em.insert(Author, { name: 'late' }),
            () => em.create(Author, { name: 'late' }),
          ]
          late.push(...uses.map((use) => rejection(second.promise.then(use))))
          throw new TransientError('once more')
        }
        dbSession.writer.create(Author, { name: 'of attempt 2' })
        second.resolve()
        for (const error of await Promise.all(late)) {
          assert.instance(error, UnitOfWorkEndedError)
          assert.match(error.message, /registry\.run\(\)/)
        }
        assert.is(txn.status, 'Active')
      },
      { attempts: 2 },
    )
    assert.equal([late.length, await names(database)], [9, ['of attempt 2']])
  })

  test.run()
}

const orms = suite('what becomes of an ORM')
orms.after.each(closeAll)

orms("an ORM gets its role's name, with a number where another that is open has it, and keeps it", async () => {
  const [a, b, c] = [await open('sqlite'), await open('sqlite'), await open('sqlite', { contextName: 'main2' })]
  const one = new EngineRegistry({ main: a.orm })
  const two = new EngineRegistry({ main: b.orm, other: c.orm })
  const again = new EngineRegistry({ log: a.orm })
  assert.equal([a.orm.em.name, b.orm.em.name, c.orm.em.name], ['main', 'main3', 'main2'])
  assert.is(b.orm.em.fork().name, 'main3')
  await two.close()
  assert.equal([b.orm.em.name, (b.orm.config as Configuration).get('contextName')], ['default', 'default'])
  const d = await open('sqlite')
  const three = new EngineRegistry({ main3: d.orm })
  assert.is(three.get('main3').em.name, 'main3')
  await again.close()
  assert.is(a.orm.em.name, 'main')
  await one.close()
  assert.is(a.orm.em.name, 'default')
})

orms('the ORM of a role whose pool was dropped has its name back, until it is used again', async () => {
  const [a, b] = [await open('sqlite'), await open('sqlite')]
  const ownNames = (): string[] => [a.orm.em.name, (a.orm.config as Configuration).get('contextName')]
  const registry = new EngineRegistry({ only: a.orm })
  assert.equal(ownNames(), ['only', 'only'])
  await registry.run(({ dbSession }) => dbSession.only.count(Author))
  await registry.dispose()
  assert.equal(ownNames(), ['default', 'default'])
  const other = new EngineRegistry({ clerk: a.orm })
  await other.run(({ dbSession: { clerk } }: any) => void clerk.create(Author, { name: 'by a clerk' }))
  await registry.dispose()
  const namesake = new EngineRegistry({ only: b.orm })
  await registry.run(async ({ dbSession: { only } }: any) => {
    // Ahead of the first statement, which opens the pool.
    assert.is(only.name, 'only2')
    await only.transactional(async (em: any) => {
      await namesake.run(({ dbSession }: any) => void dbSession.only.create(Author, { name: 'elsewhere' }))
      em.create(Author, { name: 'here' })
    })
  })
  assert.equal([await authorNames(a.look), await authorNames(b.look)], [['by a clerk', 'here'], ['elsewhere']])
  await registry.reinit()
  assert.is.not(a.orm.em.name, 'default')
})

orms('an ORM that was closed gives its name away, and takes another where it is opened again', async () => {
  const [a, b] = [await open('sqlite'), await open('sqlite')]
  const first = new EngineRegistry({ only: a.orm })
  await a.orm.close()
  const second = new EngineRegistry({ only: b.orm })
  assert.is(second.get('only').em.name, 'only')
  await first.run(() => a.orm.em.insert(Author, { name: 'opened again' }))
  assert.equal([a.orm.em.name, await names(a)], ['only2', ['opened again']])
})

orms('thousands of registries over one ORM change it once, and the last to be closed leaves it as it was', async () => {
  const { orm } = await open('sqlite')
  const before = Object.getOwnPropertyNames(orm.em)
  const { context } = orm.config.getAll()
  const connection = orm.em.getConnection()
  const registries = Array.from({ length: 3000 }, () => new EngineRegistry({ shared: orm }))
  assert.is(orm.em.name, 'shared')
  assert.is(await registries[7]!.run(() => orm.em.count(Author)), 0)
  for (const registry of registries) await registry.close()
  assert.equal(Object.getOwnPropertyNames(orm.em), [...before, 'constructor'])
  assert.is((orm.config as Configuration).get('context'), context)
  assert.equal(
    Object.getOwnPropertyNames(connection).filter((name) => ['execute', 'connect', 'close'].includes(name)),
    [],
  )
})

orms(
  'a job that schedules its next turn inside em.transactional() of its unit keeps none of its ancestors',
  async () => {
    const { orm } = await open('sqlite')
    const registry = new EngineRegistry({ writer: orm })
    const ancestors: WeakRef<object>[] = []
    const done = Promise.withResolvers<void>()
    const again = (left: number): void =>
      void registry.run(async ({ dbSession }) => {
        ancestors.push(new WeakRef(dbSession))
        await (dbSession.writer as any).transactional(async (em: any) => {
          await em.count(Author)
          if (left > 0) setImmediate(again, left - 1)
          else setImmediate(done.resolve)
        })
      })
    again(30)
    await done.promise
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    for (let round = 0; round < 4; round++) {
      await turn()
      gc()
    }
    const kept = ancestors.slice(0, 25).filter((each) => each.deref() !== undefined)
    assert.is(kept.length, 0)
  },
)

orms.run()
