import * as assert from 'uvu/assert'
import { CompiledQuery, type DatabaseConnection } from 'kysely'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { poolIdle, ormsIdle } from '../support/leaks.ts'
import { newDatabase, openOrm, poolOf, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

const ROLES: Record<string, Omit<EngineOptions, 'orm'>> = {
  joined: {},
  'not scoped': { scoped: false },
  readOnly: { readOnly: true },
  snapshot: { readOnly: 'snapshot' },
  autonomous: { commit: 'autonomous' },
}
const SEEN = `select coalesce(current_setting('app.seen', true), '') as seen`

const test = suite<{ target: string }>('what MikroORM does to a connection before it is used')

test.before(async (world) => void (world.target = await newDatabase('postgresql')))

async function inRole<T>(orm: TestOrm, options: Omit<EngineOptions, 'orm'>, work: (em: any) => Promise<T>): Promise<T> {
  return await new EngineRegistry({ role: { orm, ...options } }).run(({ dbSession }) => work(dbSession.role))
}

for (const [name, options] of Object.entries(ROLES)) {
  test(`onCreateConnection and onReserveConnection are called for a role that is ${name}`, async ({ target }) => {
    const called: string[] = []
    const orm = await openOrm(target)
    const config: any = orm.config
    await ormsIdle(orm)
    config.set('onCreateConnection', async () => void called.push('create'))
    config.set('onReserveConnection', async (connection: unknown) => {
      called.push('reserve')
      const set = `select set_config('app.seen', 'reserved ${called.length}', false)`
      await (connection as DatabaseConnection).executeQuery(CompiledQuery.raw(set))
    })
    assert.equal(await inRole(orm, options, (em) => em.execute(SEEN)), [{ seen: 'reserved 2' }])
    await ormsIdle(orm)
    assert.equal(await inRole(orm, options, (em) => em.execute(SEEN)), [{ seen: 'reserved 3' }])
    assert.equal(called, ['create', 'reserve', 'reserve'])
    await orm.close()
  })

  test(`a hook that fails is the error of the statement, for a role that is ${name}, and its connection is closed`, async ({
    target,
  }) => {
    const orm = await openOrm(target)
    const pool = await poolOf(orm)
    await poolIdle(pool)
    const config: any = orm.config
    config.set('onReserveConnection', () => Promise.reject(new Error('not this one')))
    const error = await rejection(inRole(orm, options, (em) => em.count(Author)))
    assert.match(error.message, /not this one/)
    assert.is(pool.totalCount, 0)
    await orm.close()
  })

  test(`sessionContext: 'connection' sets the variables of the session for a role that is ${name}, and of no other`, async ({
    target,
  }) => {
    const orm = await openOrm(target, { poolMax: 1, config: { sessionContext: 'connection' } })
    const fork = (seen: string) => ({ session: { variables: { 'app.seen': seen } } })
    for (const seen of ['one', `o'hara`]) {
      const rows = await inRole(orm, { ...options, fork: fork(seen) }, (em) => em.execute(SEEN))
      assert.equal(rows, [{ seen }])
      await ormsIdle(orm)
    }
    assert.equal(await inRole(orm, options, (em) => em.execute(SEEN)), [{ seen: '' }])
    await ormsIdle(orm)
    await orm.close()
  })
}

test.run()
