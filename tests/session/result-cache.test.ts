/** What requests and runs share through MikroORM's result cache. */
import { defineEntity, p } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { EngineRegistry, TransientError, type EngineOptions } from '../../source/index.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, ENTITIES } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

const Paper = defineEntity({
  name: 'Paper',
  properties: { id: p.integer().primary(), data: p.json<any>(), tags: p.array(), bytes: p.blob() },
})
const AuthorName = defineEntity({
  name: 'AuthorName',
  expression: 'select name from author',
  properties: { name: p.string() },
})

const CACHE = { cache: ['names', 60_000] as [string, number] }

type Read = (em: any, orm: any) => Promise<unknown>
/** Every way by which a result gets into the cache; what it read of the authors. */
const READS: Record<string, Read> = {
  find: async (em) => (await em.find(Author, {}, CACHE)).map(({ name }: any) => name),
  findOne: async (em) => [(await em.findOne(Author, { name: { $ne: '' } }, CACHE))?.name].filter(Boolean),
  // MikroORM keeps the rows and their number under one name, where both have one.
  findAndCount: async (em) => (await em.findAndCount(Author, {}, { cache: 60_000 }))[0].map(({ name }: any) => name),
  count: async (em) => await em.count(Author, { name: 'new' }, CACHE),
  'the QueryBuilder': async (em) =>
    (await em.createQueryBuilder(Author).cache(CACHE.cache).execute()).map(({ name }: any) => name),
  'the QueryBuilder of the global em': async (_em, orm) =>
    (await orm.em.createQueryBuilder(Author).cache(CACHE.cache).execute('get'))?.name ?? [],
  'the global em': async (_em, orm) => (await orm.em.find(Author, {}, CACHE)).map(({ name }: any) => name),
  'a virtual entity': async (em) => (await em.find(AuthorName, {}, CACHE)).map(({ name }: any) => name),
}
/** Every way to work that is not committed. */
const WRITES: Record<string, (em: any) => Promise<unknown>> = {
  'a flush': async (em) => {
    const author = await em.findOneOrFail(Author, 1)
    author.name = 'new'
    await em.flush()
  },
  'a native update': (em) => em.nativeUpdate(Author, 1, { name: 'new' }),
  'raw SQL': (em) => em.execute(`update author set name = 'new' where id = 1`),
  Kysely: (em) => em.getKysely().updateTable('author').set({ name: 'new' }).execute(),
  'em.transactional()': (em) => em.transactional((inner: any) => inner.nativeUpdate(Author, 1, { name: 'new' })),
  'a change in memory': async (em) => {
    const author = await em.findOneOrFail(Author, 1)
    em.setFlushMode('commit')
    author.name = 'new'
  },
}

for (const dialect of DIALECTS) {
  const config = { entities: [...ENTITIES, Paper, AuthorName] }
  const test = databaseSuite(`the result cache on ${dialect}`, dialect, { config })
  test.before.each(async ({ look, orm }) => {
    await look.rows(`insert into author (id, name) values (1, 'old')`)
    await orm.config.getResultCacheAdapter().clear()
  })

  const registryOf = ({ orm }: DatabaseWorld, engine: Partial<EngineOptions> = {}, disableTransaction = false) =>
    new EngineRegistry<any>({ writer: { orm, ...engine } }, { disableTransaction })
  const refused = new Error('refused')
  const fail = (): never => {
    throw refused
  }

  const modes = [
    ['joined', {}, false],
    ['autonomous', { commit: 'autonomous' }, false],
    ['disabled', {}, true],
  ] as const
  for (const [mode, engine, disabled] of modes) {
    for (const [how, read] of Object.entries(READS)) {
      test(`what a run wrote and rolled back is not read from the cache by the next one (${mode}, ${how})`, async (world) => {
        const registry = registryOf(world, engine, disabled)
        const before = await registry.run(({ dbSession }: any) => read(dbSession.writer, world.orm))
        await world.orm.config.getResultCacheAdapter().clear()
        const isOwn = mode === 'autonomous'
        const ending = registry.run(async ({ dbSession }: any) => {
          await dbSession.writer.nativeUpdate(Author, 1, { name: 'new' })
          await read(dbSession.writer, world.orm)
          if (isOwn) await dbSession.writer.rollback()
          fail()
        })
        assert.is(await rejection(ending), refused)
        assert.equal(await registry.run(({ dbSession }: any) => read(dbSession.writer, world.orm)), before)
      })
    }
  }

  for (const [what, write] of Object.entries(WRITES)) {
    test(`${what} that is not committed is read by nobody from the cache`, async (world) => {
      const registry = registryOf(world)
      const read = READS['find'] as Read
      const ending = registry.run(async ({ dbSession: { writer } }: any) => {
        await write(writer)
        assert.equal(await read(writer, world.orm), ['new'])
        fail()
      })
      assert.is(await rejection(ending), refused)
      assert.equal(await registry.run(({ dbSession }: any) => read(dbSession.writer, world.orm)), ['old'])
    })
  }

  test('a resultCache that is global shares nothing that is rolled back', async (world) => {
    const resultCache = (world.orm.config as any).get('resultCache')
    resultCache.global = 60_000
    try {
      const registry = registryOf(world)
      const read = (em: any) => em.findOneOrFail(Author, { name: { $like: '%' } })
      const ending = registry.run(async ({ dbSession: { writer } }: any) => {
        await writer.nativeUpdate(Author, 1, { name: 'new' })
        await read(writer)
        fail()
      })
      await rejection(ending)
      const author: any = await registry.run(({ dbSession }: any) => read(dbSession.writer))
      assert.is(author.name, 'old')
    } finally {
      delete resultCache.global
    }
  })

  test('nothing is in the cache while it is not committed yet', async (world) => {
    const registry = registryOf(world)
    const read = READS['count'] as Read
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await writer.nativeUpdate(Author, 1, { name: 'new' })
      assert.is(await read(writer, world.orm), 1)
      assert.is(await world.orm.config.getResultCacheAdapter().get('names'), undefined)
    })
    assert.is(await world.orm.config.getResultCacheAdapter().get('names'), undefined)
  })

  test('the next attempt starts from what is stored', async (world) => {
    const seen: unknown[] = []
    await registryOf(world).run(
      async ({ dbSession: { writer } }: any) => {
        seen.push(await READS['find']?.(writer, world.orm))
        await world.orm.config.getResultCacheAdapter().clear()
        await writer.insert(Author, { id: 2, name: 'of an attempt' })
        seen.push(await READS['find']?.(writer, world.orm))
        if (seen.length === 2) throw new TransientError('once more')
      },
      { attempts: 2 },
    )
    assert.equal(seen, [['old'], ['old', 'of an attempt'], ['old'], ['old', 'of an attempt']])
  })

  test('a session of its own shares between its commits what is committed, and nothing else', async (world) => {
    const registry = registryOf(world)
    const read = READS['count'] as Read
    await using em: any = registry.session('writer')
    await em.nativeUpdate(Author, 1, { name: 'new' })
    assert.is(await read(em, world.orm), 1)
    await em.rollback()
    assert.is(await read(em, world.orm), 0)
    await world.orm.config.getResultCacheAdapter().clear()
    await em.nativeUpdate(Author, 1, { name: 'new' })
    await em.commit()
    assert.is(await read(em, world.orm), 1)
    await em.close()
    await world.look.rows(`update author set name = 'later'`)
    assert.is(await registry.run(({ dbSession }: any) => read(dbSession.writer, world.orm)), 1)
  })

  test('a read beside a commit does not bring into the cache what that commit may lose', async (world) => {
    const registry = registryOf(world)
    await using em: any = registry.session('writer')
    await em.nativeUpdate(Author, 1, { name: 'new' })
    await Promise.all([READS['find']?.(em, world.orm), em.commit()])
    await world.look.rows(`update author set name = 'later'`)
    await em.close()
    assert.equal(await registry.run(({ dbSession }: any) => READS['find']?.(dbSession.writer, world.orm)), ['later'])
  })

  test('a transaction of a role that commits every statement shares nothing', async (world) => {
    const registry = registryOf(world, { commit: 'autocommit' })
    const ending = registry.run(async ({ dbSession: { writer } }: any) => {
      await writer.transactional(async (em: any) => {
        await em.nativeUpdate(Author, 1, { name: 'new' })
        assert.equal(await READS['find']?.(em, world.orm), ['new'])
        fail()
      })
    })
    assert.is(await rejection(ending), refused)
    assert.equal(await registry.run(({ dbSession }: any) => READS['find']?.(dbSession.writer, world.orm)), ['old'])
  })

  for (const engine of [{}, { readOnly: true }, { commit: 'autocommit' }] as Partial<EngineOptions>[]) {
    test(`a run without uncommitted work uses the cache (${JSON.stringify(engine)})`, async (world) => {
      const registry = registryOf(world, engine)
      for (const [how, read] of Object.entries(READS)) {
        await world.orm.config.getResultCacheAdapter().clear()
        const first = await registry.run(({ dbSession }: any) => read(dbSession.writer, world.orm))
        await world.look.rows(`update author set name = 'later'`)
        assert.equal(await registry.run(({ dbSession }: any) => read(dbSession.writer, world.orm)), first, how)
        await world.look.rows(`update author set name = 'old'`)
      }
    })
  }

  test('an entity shares nothing with the cache that a change could reach', async (world) => {
    const registry = registryOf(world)
    const bytes = Buffer.from([1])
    await registry.run(({ dbSession }: any) =>
      dbSession.writer.insert(Paper, { id: 1, data: { list: [1] }, tags: ['a'], bytes }),
    )
    for (let i = 0; i < 2; i++) {
      const ending = registry.run(async ({ dbSession: { writer } }: any) => {
        const [paper] = await writer.find(Paper, {}, CACHE)
        paper.data.list.push(2)
        paper.tags.push('b')
        paper.bytes[0] = 2
        fail()
      })
      assert.is(await rejection(ending), refused)
    }
    const [paper] = await registry.run(({ dbSession }: any) => dbSession.writer.find(Paper, {}, CACHE))
    assert.equal([paper.data, paper.tags, [...paper.bytes]], [{ list: [1] }, ['a'], [1]])
    await world.look.rows('delete from paper')
  })

  test.run()
}
