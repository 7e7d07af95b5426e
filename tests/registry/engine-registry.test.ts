import * as assert from 'uvu/assert'
import Koa from 'koa'
import {
  ConfigurationError,
  dbSessions,
  DbSessionsContainer,
  EngineRegistry,
  RegistryClosedError,
  UnknownRoleError,
} from '../../source/index.ts'
import type { MikroORM } from '@mikro-orm/core'
import { suiteOfTwo } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

type AnyOrm = MikroORM<any, any, any>

for (const dialect of DIALECTS) {
  const test = suiteOfTwo(`the registry on ${dialect}`, dialect, true)

  test('!default leads to the default role wherever a role is named', async ({ a, b }) => {
    const registry = new EngineRegistry({ first: a.orm, second: { orm: b.orm, default: true } })
    assert.is(registry.get('!default'), b.orm)
    await registry.run(({ dbSession }) => assert.is(dbSession.get('!default'), dbSession.second))
    const em = registry.session('!default')
    assert.is(await em.count(Author), 0)
    await em.close()
    await registry.reinit('!default')
    await registry.dispose('!default')
    assert.is(await registry.run(({ dbSession }) => dbSession.get('!default').count(Author)), 0)
  })

  test('!default is refused, and tells how to choose, where no role is the default', async ({ a, b }) => {
    const registry = new EngineRegistry({ first: a.orm, second: b.orm })
    const how = /No role is the default among "first", "second"\. Give one of them default: true/
    assert.throws(() => registry.get('!default'), how)
    assert.throws(() => registry.session('!default'), how)
    const error = await rejection(registry.run(({ dbSession }) => dbSession.get('!default')))
    assert.instance(error, ConfigurationError)
    assert.throws(() => registry.get('!all' as never), /There is no role "!all"/)
  })

  test('reinit and dispose take one role or all of them, and the next statement finds a connection', async (world) => {
    const registry = new EngineRegistry({ writer: world.a.orm, other: world.b.orm })
    for (const role of ['writer', 'other', '!all', undefined] as const) {
      await registry.reinit(role)
      await registry.dispose(role)
      const counts = registry.run(async ({ dbSession }) => [
        await dbSession.writer.count(Author),
        await dbSession.other.count(Author),
      ])
      assert.equal(await counts, [0, 0], String(role))
    }
    assert.instance(await rejection(registry.dispose('nobody' as never)), UnknownRoleError)
  })

  test('dispose closes the connections of its role and of no other', async ({ a, b }) => {
    if (dialect === 'sqlite') return // its one handle is no server's to count
    const registry = new EngineRegistry({ writer: a.orm, other: b.orm })
    await registry.run(async ({ dbSession }) => {
      await dbSession.writer.count(Author)
      await dbSession.other.count(Author)
    })
    await registry.dispose('writer')
    const others = `select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
    await until(async () => (await a.look.value(others)) === 0, 'its connections to be closed')
    assert.is.not(await b.look.value(others), 0)
  })

  test('a registry is closed at the end of its scope', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    {
      await using scoped = registry
      await scoped.run(({ dbSession }) => dbSession.writer.count(Author))
    }
    assert.instance(await rejection(registry.run(() => undefined)), RegistryClosedError)
  })

  test('a container class of one’s own is what requests and runs get, with every role', async ({ a, b }) => {
    const engines = { reader: { orm: a.orm, readOnly: true }, writer: b.orm }
    class Sessions extends DbSessionsContainer<typeof engines> {
      get authors() {
        return this.writer.getRepository(Author)
      }

      /** Takes the place of the one for the reader. */
      override getReader() {
        return this.reader
      }
    }
    const registry = new EngineRegistry(engines, { containerClass: Sessions })
    await registry.run(({ dbSession }) => {
      assert.instance(dbSession, Sessions)
      dbSession.authors.create({ name: 'Ada' })
      dbSession.writer.persist(dbSession.authors.create({ name: 'Grace' }))
      assert.is(dbSession.getReader(), dbSession.get('reader'))
      assert.equal(dbSession.status, { reader: 'START', writer: 'START' })
    })
    assert.is(Number(await b.look.value('select count(*) from author')), 2)

    const app = new Koa()
    app.use(dbSessions(registry)).use(async (ctx) => {
      ctx.body = await ctx.dbSession.authors.count()
    })
    const served = await serve(app)
    assert.is((await served.request('GET', '/')).text, '2')
    await served.close()
  })

  test('a container class that could not work is refused with what to write', ({ a }) => {
    class Shadow extends DbSessionsContainer<{ writer: typeof a.orm }> {
      declare writer: never
      get audit() {
        return 1
      }
    }
    const refused = (containerClass: unknown, message: RegExp) =>
      assert.throws(
        () => new EngineRegistry({ audit: a.orm }, { containerClass: containerClass as never }),
        (error: Error) => error instanceof ConfigurationError && message.test(error.message),
      )
    refused(Map, /containerClass is no class that extends DbSessionsContainer\. Write class Sessions extends/)
    refused('Sessions', /is no class that extends/)
    refused(Shadow, /containerClass Shadow has a member "audit", which is the name of a role\. Rename one/)
  })

  test('inspect returns every role’s options and pool, and what is under way', async ({ a, b }) => {
    const registry = new EngineRegistry({ writer: a.orm, log: { orm: b.orm, commit: 'autonomous', bestEffort: true } })
    const before = await registry.inspect()
    assert.is(before.unitsUnderWay, 0)
    await registry.run(async ({ dbSession }) => {
      await dbSession.writer.count(Author)
      const { roles, unitsUnderWay, disablesTransactions } = await registry.inspect()
      const [writer, log] = roles
      assert.equal([unitsUnderWay, disablesTransactions], [1, false])
      assert.equal(
        [writer?.role, writer?.default, writer?.commit, writer?.dialect],
        ['writer', true, 'joined', dialect],
      )
      assert.equal([log?.role, log?.default, log?.commit, log?.bestEffort], ['log', false, 'autonomous', true])
      assert.ok(writer !== undefined && !('orm' in writer))
      assert.is(writer.database, String((a.orm as AnyOrm).config.get('dbName')))
      if (dialect === 'sqlite') assert.is(writer.pool, undefined)
      else {
        assert.equal([writer.pool?.max, writer.pool?.waiting], [5, 0])
        assert.is((writer.pool?.total ?? 0) - (writer.pool?.idle ?? 0), 1, 'one is in use')
      }
    })
    await registry.close()
    assert.is((await registry.inspect()).roles[0]?.pool, undefined)
  })

  test.run()
}

const inDoubt = suite<{ several: SeveralDatabases }>('what is in doubt')

inDoubt.before(async (world) => {
  world.several = await SeveralDatabases.open({ writer: 'postgresql', file: 'sqlite' })
})
inDoubt.after(({ several }) => several.close())

inDoubt(
  'inDoubt tells of this application’s prepared transactions alone, and of databases that do not answer',
  async ({ several }) => {
    const registry = several.registry({ name: 'shop' })
    const { look } = several.place('writer')
    assert.equal(await registry.inDoubt(), [{ role: 'writer', prepared: [], error: undefined }])
    const own = 'sqlassist:shop:writer:AAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAA:writer'
    const foreign = own.replace('shop', 'others')
    for (const gid of [own, foreign])
      await look.rows(
        `begin; create table t_${gid.length}${gid === own ? 'a' : 'b'} (id int); prepare transaction '${gid}'`,
      )
    const [report] = await registry.inDoubt()
    assert.equal(
      report?.prepared.map(({ id }) => id),
      [own],
    )
    assert.type(report?.prepared[0]?.ageMs, 'number')
    for (const gid of [own, foreign]) await look.rows(`rollback prepared '${gid}'`)
  },
)

inDoubt.run()
