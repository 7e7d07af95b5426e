import * as assert from 'uvu/assert'
import { EngineRegistry, SessionContextError } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { ormsIdle } from '../support/leaks.ts'
import { rejection } from '../support/rejection.ts'

const test = databaseSuite('row level security by fork: { session }', 'postgresql', { poolMax: 1 })

const fork = { session: { variables: { 'app.tenant': `o'hara` } } }
const TENANT = `select coalesce(current_setting('app.tenant', true), '') as tenant`

test('session variables hold in the transaction of the session, for every statement, and nowhere after it', async ({
  orm,
}) => {
  for (const options of [{}, { readOnly: 'snapshot' as const }]) {
    const registry = new EngineRegistry({ writer: { orm, fork, ...options } })
    await registry.run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      const tenants = await Promise.all([1, 2].map(() => em.execute(TENANT)))
      assert.equal(tenants, [[{ tenant: `o'hara` }], [{ tenant: `o'hara` }]])
    })
    await ormsIdle(orm)
    const [row] = await orm.em.getConnection().execute(TENANT)
    assert.is((row as any)?.tenant, '')
  }
})

test('a session role is set for the transaction, and a role that does not exist fails it with nothing stored', async ({
  orm,
  look,
}) => {
  const registry = new EngineRegistry({ writer: { orm, fork: { session: { role: 'no "such" role' } } } })
  const error = await rejection(
    registry.run(({ dbSession }) => (dbSession.writer as any).insert(Author, { name: 'x' })),
  )
  assert.is((error as any).code, '22023')
  assert.match(error.message, /no "such" role/)
  assert.is(await look.value('select count(*) from author'), 0)
  await ormsIdle(orm)
})

test('a read-only role without a transaction refuses it, since it would not hold', async ({ orm }) => {
  const registry = new EngineRegistry({ reader: { orm, readOnly: true, fork } })
  const error = await rejection(registry.run(({ dbSession }) => (dbSession.reader as any).count(Author)))
  assert.instance(error, SessionContextError)
  assert.match(error.message, /"reader" has a session context.*'snapshot'/s)
})

test.run()
