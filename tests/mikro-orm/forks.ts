/** What the library relies on where MikroORM forks an entity manager that is not its own. */
import { defineEntity, p, RequestContext } from '@mikro-orm/core'
import { MikroORM } from '@mikro-orm/sqlite'
import * as assert from 'uvu/assert'
import type { Reliance } from './reliance.ts'

const One = defineEntity({
  name: 'One',
  expression: () => 'select 1 as number',
  properties: { number: p.integer() },
})

export const FORK_RELIANCES: readonly Reliance[] = [
  {
    what: 'RequestContext.create() forks its entity manager with useContext: true',
    where: ['session/forks.ts'],
    forms: ['asyncContext'],
    why: 'the refusal of the fork names its caller',
    check({ sqlite: { orm } }) {
      const em: any = orm.em.fork()
      const seen: any[] = []
      em.fork = (options: any) => (seen.push(options), em)
      RequestContext.create(em, () => undefined)
      assert.equal(
        seen.map(({ useContext }) => useContext),
        [true],
      )
    },
  },
  {
    what: 'A driver forks the entity manager of the caller for a virtual entity, at once, as findFromVirtual() is called',
    where: ['role/attach-orm.ts'],
    forms: ['override'],
    why: 'a session allows that fork, and gives it the same transaction',
    async check() {
      const orm = await MikroORM.init({ entities: [One], dbName: ':memory:' })
      try {
        const driver: any = orm.driver
        const { findFromVirtual } = driver
        const forks: boolean[] = []
        driver.findFromVirtual = (...args: any[]) => {
          const { em } = args[2]
          let isAtOnce = true
          const { fork } = em
          em.fork = (...options: any[]) => (forks.push(isAtOnce), fork.apply(em, options))
          const finding = findFromVirtual.apply(driver, args)
          isAtOnce = false
          delete em.fork
          return finding
        }
        const em = orm.em.fork()
        assert.equal([(await em.find(One, {})).length, await em.count(One)], [1, 1])
        assert.equal(forks, [true, true])
      } finally {
        await orm.close()
      }
    },
  },
  {
    what: 'A fork changes allowGlobalContext by config.set(), and no other option; getAll() gives the options themselves',
    where: ['role/attach-orm.ts'],
    forms: ['override'],
    why: 'a fork writes that option alone, and not to the environment of the process',
    async check() {
      const orm = await MikroORM.init({ entities: [One], dbName: ':memory:' })
      const { config } = orm
      const changed: string[] = []
      config.set = (key, value) => {
        changed.push(key)
        config.getAll()[key] = value
        assert.is(config.get(key), value)
      }
      orm.em.fork()
      await orm.close()
      assert.equal(changed, ['allowGlobalContext', 'allowGlobalContext'])
    },
  },
]
