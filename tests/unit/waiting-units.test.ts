/** Units of work that would wait for each other's connections, or for their own, for ever. */
import Koa from 'koa'
import { pbkdf2 } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { ConnectionDeadlockError, dbSessions, EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { authorNames, clearTables } from '../support/authors.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS, openDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

type Opened = Awaited<ReturnType<typeof openDatabase>>
interface World {
  /** Pools of one, two and three connections over one database, on PostgreSQL. */
  one: Opened
  two: TestOrm
  three: TestOrm
  /** Another database, whose pool has one connection. */
  other: Opened
}
type Outcome = { readonly value?: unknown; readonly error?: any }

async function outcome(work: Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await work }
  } catch (error) {
    return { error }
  }
}

/** Takes longer than units may stand still. */
const somethingElse = () => promisify(pbkdf2)('', '', 1_000_000, 32, 'sha512')

function ended(work: Promise<unknown>): { is: boolean } {
  const end = { is: false }
  void work.then(() => (end.is = true))
  return end
}

for (const dialect of DIALECTS) {
  const isSqlite = dialect === 'sqlite'
  const test = suite<World>(`units that wait for connections on ${dialect}`)
  test.before(async (world) => {
    world.one = await openDatabase(dialect, { poolMax: 1 })
    world.other = await openDatabase(dialect, { poolMax: 1 })
    world.two = isSqlite ? world.one.orm : await openOrm(world.one.target, { poolMax: 2, hasSchema: true })
    world.three = isSqlite ? world.one.orm : await openOrm(world.one.target, { poolMax: 3, hasSchema: true })
  })
  test.before.each(({ one, other }) => clearTables(one.look, other.look))
  test.after.each(async ({ one, other, two, three }) => {
    for (const orm of [one.orm, other.orm, two, three]) await ormsIdle(orm)
  })
  test.after(async ({ one, other, two, three }) => {
    if (!isSqlite) for (const orm of [two, three]) await orm.close()
    for (const each of [one, other]) await each.close()
  })

  const put = (name: string) => (em: any) => em.insert(Author, { name })
  const registryOf = (orm: TestOrm, engine: Partial<EngineOptions> = {}, disableTransaction = false) =>
    new EngineRegistry<any>({ writer: { orm, ...engine } }, { disableTransaction })
  function assertRefused(error: any, ...names: RegExp[]): void {
    assert.instance(error, ConnectionDeadlockError, String(error?.stack ?? 'nothing was refused'))
    for (const name of names) assert.match(error.message, name)
  }

  const MODES: Record<string, [engine: Partial<EngineOptions>, disableTransaction?: boolean]> = {
    joined: [{}],
    'joined, pipelined': [isSqlite ? {} : { pipelineCommit: true }],
    autonomous: [{ commit: 'autonomous' }],
    'not scoped': [{ scoped: false }],
    'at an isolation level': [{ isolationLevel: 'serializable' }],
    disabled: [{}, true],
  }
  const OUTER: Record<string, (em: any) => Promise<unknown>> = {
    wrote: put('outer'),
    'only read': (em) => em.count(Author),
  }
  const INNER: Record<string, (em: any) => Promise<unknown>> = {
    writes: put('inner'),
    reads: (em) => em.find(Author, {}),
    'uses Kysely': (em) => em.getKysely().selectFrom('author').selectAll().execute(),
    nests: (em) => em.transactional(put('inner')),
  }

  for (const [mode, [engine, disabled]] of Object.entries(MODES)) {
    for (const [did, outerWork] of Object.entries(OUTER)) {
      test(`a run inside one that ${did} is refused with both names, and the outer one goes on (${mode})`, async ({
        one,
      }) => {
        const registry = registryOf(one.orm, engine, disabled)
        await registry.run(
          async ({ dbSession: { writer } }: any) => {
            await outerWork(writer)
            const inner = registry.run(({ dbSession }: any) => put('inner')(dbSession.writer), {
              name: 'the inner work',
            })
            assertRefused(await rejection(inner), /"the inner work"/, /"the outer work"/, /role "writer"/)
            await put('goes on')(writer)
          },
          { name: 'the outer work' },
        )
        assert.equal((await authorNames(one.look)).slice(-1), ['goes on'])
        await registry.run(({ dbSession }: any) => put('next')(dbSession.writer))
      })
    }
  }

  for (const [does, innerWork] of Object.entries(INNER)) {
    test(`an inner run that ${does} is refused`, async ({ one }) => {
      const registry = registryOf(one.orm)
      const ending = registry.run(async ({ dbSession: { writer } }: any) => {
        await put('outer')(writer)
        await registry.run(({ dbSession }: any) => innerWork(dbSession.writer))
      })
      assertRefused(await rejection(ending))
      assert.equal(await authorNames(one.look), [])
    })
  }

  test('inside em.transactional() and a run between them it is refused as well', async ({ one, other }) => {
    const registry = registryOf(one.orm)
    const between = registryOf(other.orm)
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await writer.transactional(async (em: any) => {
        await put('outer')(em)
        await between.run(async ({ dbSession }: any) => {
          await put('between')(dbSession.writer)
          assertRefused(await rejection(registry.run(() => put('inner')(one.orm.em))))
        })
      })
    })
    assert.equal(await authorNames(one.look), ['outer'])
    assert.equal(await authorNames(other.look), ['between'])
  })

  test('a request names itself in the refusal of a run inside it', async ({ one }) => {
    const registry = registryOf(one.orm)
    const app = new Koa<any, any>().use(dbSessions(registry)).use(async (ctx) => {
      await put('outer')(ctx.dbSession.writer)
      await registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
    })
    const served = await serve(app)
    assert.is((await served.request('POST', '/orders')).status, 500)
    await served.close()
    assertRefused(served.errors[0], /the request "POST \/orders"/, /a run without a name/)
    assert.equal(await authorNames(one.look), [])
  })

  test('registry.session() inside a unit is refused, and so is a unit that waits for one opened in it', async ({
    one,
  }) => {
    const registry = registryOf(one.orm)
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await put('outer')(writer)
      await using em: any = registry.session('writer')
      assertRefused(await rejection(put('inner')(em)))
      await em.rollback()
    })
    assert.equal(await authorNames(one.look), ['outer'])
    const ending = registry.run(async ({ dbSession: { writer } }: any) => {
      await using em: any = registry.session('writer')
      await put('of its own')(em)
      await put('waits')(writer)
    })
    assertRefused(await rejection(ending))
    assert.equal(await authorNames(one.look), ['outer'])
  })

  test('sessions that are used side by side in a unit wait for each other', async ({ one }) => {
    const registry = registryOf(one.orm)
    const [taken, given] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    await registry.run(async () => {
      const use = async (name: string, then: () => Promise<void>): Promise<void> => {
        await using em: any = registry.session('writer')
        await put(name)(em)
        await then()
        await em.commit()
      }
      const first = use('first', async () => {
        taken.resolve()
        await given.promise
      })
      await taken.promise
      const second = use('second', async () => undefined)
      for (let i = 0; i < 20; i++) await turn()
      given.resolve()
      await Promise.all([first, second])
    })
    assert.equal(await authorNames(one.look), ['first', 'second'])
  })

  test('two registries over one ORM do not wait for each other', async ({ one }) => {
    const [outer, inner] = [registryOf(one.orm), registryOf(one.orm)]
    await outer.run(async ({ dbSession: { writer } }: any) => {
      await put('outer')(writer)
      assertRefused(await rejection(inner.run(({ dbSession }: any) => put('inner')(dbSession.writer))))
    })
    assert.equal(await authorNames(one.look), ['outer'])
  })

  test('two roles that are used crosswise have the unit refused that began last', async ({ one, other }) => {
    const registry = new EngineRegistry<any>({
      writer: { orm: one.orm, default: true },
      audit: { orm: other.orm, commit: 'autonomous' },
    })
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const use = (name: string, roles: string[], own: PromiseWithResolvers<void>, others: Promise<void>) =>
      registry.run(
        async ({ dbSession }: any) => {
          await put(name)(dbSession[roles[0] as string])
          own.resolve()
          await others
          await put(name)(dbSession[roles[1] as string])
        },
        { name },
      )
    const ends = await Promise.all([
      outcome(use('older', ['writer', 'audit'], first, second.promise)),
      outcome(use('younger', ['audit', 'writer'], second, first.promise)),
    ])
    assert.is(ends[0].error, undefined, String(ends[0].error))
    assertRefused(ends[1].error, /the run "older"/, /the run "younger"/)
    assert.equal(await authorNames(one.look), ['older'])
    assert.ok((await authorNames(other.look)).includes('older'))
  })

  test('a run that a hook before the commit awaits is refused, and one in a hook after it has a connection', async ({
    one,
  }) => {
    const registry = registryOf(one.orm)
    const inner = (name: string) => () => registry.run(({ dbSession }: any) => put(name)(dbSession.writer))
    const ending = registry.run(async ({ dbSession: { writer }, txn }: any) => {
      await put('outer')(writer)
      txn.addBeforeCommitHook(inner('before'))
    })
    assertRefused(await rejection(ending))
    await registry.run(async ({ dbSession: { writer }, txn }: any) => {
      await put('outer')(writer)
      txn.addAfterCommitHook(inner('after'))
    })
    assert.equal(await authorNames(one.look), ['outer', 'after'])
  })

  test('a run that nobody awaits gets through when the unit around it has ended', async ({ one }) => {
    const registry = registryOf(one.orm)
    let inner: Promise<unknown> | undefined
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await put('outer')(writer)
      inner = registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
      await writer.count(Author)
    })
    await inner
    assert.equal(await authorNames(one.look), ['outer', 'inner'])
  })

  const LEAVING: Record<string, (run: Promise<unknown>) => unknown> = {
    'nobody looks at': (run) => run,
    'is looked at for its errors only': (run) => run.catch(() => undefined),
  }
  for (const [how, leave] of Object.entries(LEAVING)) {
    test(`a run that ${how} gets through, however long the unit around it does something else`, async ({ one }) => {
      const registry = registryOf(one.orm)
      let inner: Promise<unknown> | undefined
      await registry.run(async ({ dbSession: { writer } }: any) => {
        await put('outer')(writer)
        inner = registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
        void leave(inner)
        await somethingElse()
      })
      await inner
      assert.equal(await authorNames(one.look), ['outer', 'inner'])
    })
  }

  test('a run of another branch gets through while the unit around it goes on with its statements', async ({ one }) => {
    const registry = registryOf(one.orm)
    let branch: Promise<unknown> | undefined
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await put('outer')(writer)
      branch = (async () => {
        await registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
      })()
      for (const other = ended(somethingElse()); !other.is; await turn()) await writer.count(Author)
    })
    await branch
    assert.equal(await authorNames(one.look), ['outer', 'inner'])
  })

  test('em.transactional() of a role that commits every statement waits for one of MikroORM alone', async ({ one }) => {
    const registry = registryOf(one.orm, { commit: 'autocommit' })
    const begun = Promise.withResolvers<void>()
    const alone = one.orm.em.fork().transactional(async (em: any) => {
      await put('alone')(em)
      begun.resolve()
      await somethingElse()
    })
    await begun.promise
    await registry.run(({ dbSession: { writer } }: any) => writer.transactional(put('in a unit')))
    await alone
    assert.equal(await authorNames(one.look), ['alone', 'in a unit'])
  })

  test('a run inside em.transactional() of MikroORM alone is refused, and that goes on', async ({ one }) => {
    const registry = registryOf(one.orm)
    const inner = (name: string) => registry.run(({ dbSession }: any) => put(name)(dbSession.writer))
    await one.orm.em.fork().transactional(async (em: any) => {
      await put('alone')(em)
      const refused = await Promise.all([rejection(inner('one')), rejection(inner('two'))])
      for (const error of refused) assertRefused(error, /em\.transactional\(\) outside of sessions/)
      await put('goes on')(em)
    })
    await inner('next')
    assert.equal(await authorNames(one.look), ['alone', 'goes on', 'next'])
  })

  test('a run that nobody waits for gets through behind em.transactional() of MikroORM alone', async ({ one }) => {
    const registry = registryOf(one.orm)
    let inner: Promise<unknown> | undefined
    await one.orm.em.fork().transactional(async (em: any) => {
      await put('alone')(em)
      inner = registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
      await somethingElse()
    })
    await inner
    assert.equal(await authorNames(one.look), ['alone', 'inner'])
  })

  test('a request in which another dbSessions of the same ORM would wait is refused', async ({ one }) => {
    const [outer, inner] = [registryOf(one.orm), registryOf(one.orm)]
    const app = new Koa<any, any>()
      .use(dbSessions(outer))
      .use(async (ctx, next) => {
        await put('outer')(ctx.dbSession.writer)
        await next()
      })
      .use(dbSessions(inner, { property: 'inner' }))
      .use((ctx) => put('inner')(ctx.inner.writer))
    const served = await serve(app)
    assert.is((await served.request('GET', '/')).status, 500)
    await served.close()
    assertRefused(served.errors[0], /the request "GET \/"/)
    assert.equal(await authorNames(one.look), [])
  })

  test('the code of an inner run that waits for a session of the outer one is refused', async ({ one, other }) => {
    const registry = new EngineRegistry<any>({ writer: { orm: one.orm, default: true }, audit: other.orm })
    const ending = registry.run(async ({ dbSession: outer }: any) => {
      await registry.run(async ({ dbSession: inner }: any) => {
        await put('inner')(inner.audit)
        await put('outer, by the code of the inner one')(outer.audit)
      })
    })
    assertRefused(await rejection(ending))
    assert.equal(await authorNames(other.look), [])
  })

  test('an inner run of a role whose connections nobody holds has one', async ({ one, other }) => {
    const registry = new EngineRegistry<any>({ writer: { orm: one.orm, default: true }, audit: other.orm })
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await put('outer')(writer)
      await registry.run(({ dbSession: { audit } }: any) => put('inner')(audit))
    })
    assert.equal([await authorNames(one.look), await authorNames(other.look)], [['outer'], ['inner']])
  })

  test('em.transactional() of a role that commits every statement does not wait for a run inside it', async ({
    one,
  }) => {
    const registry = registryOf(one.orm, { commit: 'autocommit' })
    const ending = registry.run(async ({ dbSession: { writer } }: any) => {
      await writer.transactional(async (em: any) => {
        await put('outer')(em)
        await registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
      })
    })
    const { code } = (await rejection(ending)) as any
    assert.ok(['SQLASSIST_CONNECTION_DEADLOCK', 'SQLASSIST_OUTSIDE_TRANSACTION'].includes(code), code)
    assert.equal(await authorNames(one.look), [])
  })

  test('em.begin() of a role that commits every statement holds a connection until its end', async ({ one }) => {
    const registry = registryOf(one.orm, { commit: 'autocommit' })
    const inner = () => registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await writer.begin()
      await put('outer')(writer)
      assertRefused(await rejection(inner()))
      await writer.commit()
      await inner()
      await writer.begin()
      assertRefused(await rejection(inner()))
      await writer.rollback()
      await inner()
    })
    assert.equal(await authorNames(one.look), ['outer', 'inner', 'inner'])
  })

  if (isSqlite) {
    test.run()
    continue
  }

  // What concerns pools of several connections

  test('runs that are nested deeper than the pool have the innermost refused', async ({ three, one }) => {
    const registry = registryOf(three)
    const names: string[] = []
    const nest = async (depth: number): Promise<void> =>
      await registry.run(
        async ({ dbSession: { writer } }: any) => {
          await put(`level ${depth}`)(writer)
          names.push(`level ${depth}`)
          await nest(depth + 1)
        },
        { name: `level ${depth}` },
      )
    assertRefused(await rejection(nest(1)), /"level 4"/, /"level 1"/, /"level 2"/, /"level 3"/, /pool's max/)
    assert.equal(names, ['level 1', 'level 2', 'level 3'])
    assert.equal(await authorNames(one.look), [])
  })

  for (const [title, atOnce] of [
    ['six', 6],
    ['thirty', 30],
  ] as const) {
    test(`of ${title} requests at once that each start a run, each is answered, and stored or refused`, async (world) => {
      const registry = registryOf(world.two)
      const app = new Koa<any, any>().use(dbSessions(registry)).use(async (ctx) => {
        await put(`outer ${ctx.query.n}`)(ctx.dbSession.writer)
        await registry.run(({ dbSession }: any) => put(`inner ${ctx.query.n}`)(dbSession.writer))
        ctx.status = 204
      })
      const served = await serve(app)
      const replies = await Promise.all(
        Array.from({ length: atOnce }, async (_, n) => (await served.request('GET', `/?n=${n}`)).status),
      )
      await served.close()
      for (const error of served.errors) assertRefused(error)
      const outer = (await authorNames(world.one.look)).filter((name) => String(name).startsWith('outer'))
      assert.equal(replies.filter((status) => status === 204).length, outer.length)
      assert.equal(replies.length, outer.length + served.errors.length)
    })
  }

  test('none is refused where a unit that waits for nobody will give its connection back', async (world) => {
    const registry = registryOf(world.two)
    const released = Promise.withResolvers<void>()
    const holding = Promise.withResolvers<void>()
    const holder = registry.run(async ({ dbSession: { writer } }: any) => {
      await put('holder')(writer)
      holding.resolve()
      await released.promise
    })
    await holding.promise
    const nested = registry.run(async ({ dbSession: { writer } }: any) => {
      await put('outer')(writer)
      await registry.run(({ dbSession }: any) => put('inner')(dbSession.writer))
    })
    const pool: any = await world.two.em.getConnection().getNativeClient()
    await until(() => pool.waitingCount === 1, 'the inner one to wait')
    for (let i = 0; i < 20; i++) await turn()
    released.resolve()
    await Promise.all([holder, nested])
    assert.equal((await authorNames(world.one.look)).toSorted(), ['holder', 'inner', 'outer'])
  })

  test('none is refused while a statement of the unit around it is on its way', async ({ one }) => {
    const registry = new EngineRegistry<any>({ reader: { orm: one.orm, readOnly: true } })
    const [, count] = await registry.run(({ dbSession: { reader } }: any) =>
      Promise.all([
        reader.execute('select pg_sleep(0.3)'),
        registry.run(({ dbSession }: any) => dbSession.reader.count(Author)),
      ]),
    )
    assert.is(count, 0)
  })

  test('a stream of a reading role is a connection that an inner run may wait for', async ({ one }) => {
    await one.look.rows(`insert into author (name) values ('row')`)
    const registry = new EngineRegistry<any>({ reader: { orm: one.orm, readOnly: true } })
    const ending = registry.run(async ({ dbSession: { reader } }: any) => {
      for await (const _ of reader.stream(Author))
        await registry.run(({ dbSession }: any) => dbSession.reader.count(Author))
    })
    assertRefused(await rejection(ending))
  })

  test.run()
}
