/** What the library relies on of MikroORM's result cache. */
import { MemoryCacheAdapter } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { Topic } from '../memory/savepoint-world.ts'
import type { Reliance } from './reliance.ts'

const CACHE = { cache: ['topics', 60_000] as [string, number] }

export const RESULT_CACHE_RELIANCES: readonly Reliance[] = [
  {
    what: 'A search asks tryCache() of its entity manager, and hands the object that it returns to storeCache()',
    where: ['session/result-cache.ts'],
    forms: ['subclass', 'resultCache'],
    why: 'a session with uncommitted work shares nothing through the result cache',
    async check({ sqlite: { orm } }) {
      const looks: unknown[] = []
      const searches = [
        (em: any) => em.find(Topic, {}, CACHE),
        (em: any) => em.findOne(Topic, { label: 'none' }, CACHE),
        (em: any) => em.count(Topic, {}, CACHE),
        (em: any) => em.createQueryBuilder(Topic).cache(CACHE.cache).execute(),
        (em: any) => em.createQueryBuilder(Topic).cache(CACHE.cache).execute('get'),
      ]
      for (const search of searches) {
        const em: any = orm.em.fork()
        const look = { key: 'not the one of MikroORM' }
        em.tryCache = async () => look
        em.storeCache = async (config: unknown, key: unknown) => config && looks.push(key === look)
        await search(em)
      }
      assert.equal(
        looks,
        searches.map(() => true),
      )
    },
  },
  {
    what: 'The result cache of an ORM is one adapter with get() and set(), which all its entity managers have',
    where: ['role/copied-results.ts'],
    forms: ['override'],
    why: 'it hands out and takes in copies: MikroORM shares what it keeps in memory',
    async check({ sqlite: { orm } }) {
      const adapter: any = orm.config.getResultCacheAdapter()
      assert.instance(adapter, MemoryCacheAdapter)
      const calls: string[] = []
      const { get, set } = MemoryCacheAdapter.prototype as any
      adapter.get = (...args: unknown[]) => (calls.push('get'), get.apply(adapter, args))
      adapter.set = (...args: unknown[]) => (calls.push('set'), set.apply(adapter, args))
      try {
        await orm.em.fork().find(Topic, {}, CACHE)
        assert.equal(calls, ['get', 'set'])
      } finally {
        delete adapter.get
        delete adapter.set
        adapter.clear()
      }
    },
  },
]
