import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { suiteOfTwo, type DatabaseWorld } from '../support/database-suite.ts'
import { authorNames, clearTables } from '../support/authors.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'

for (const dialect of DIALECTS) {
  const test = suiteOfTwo(`options of the caller on ${dialect}`, dialect)

  test.before.each(({ a, b }) => clearTables(a.look, b.look))

  const names = ({ look }: DatabaseWorld): Promise<unknown[]> => authorNames(look)
  const put = (name: string) => (em: any) => void em.create(Author, { name })

  for (const commit of ['joined', 'autonomous', 'autocommit'] as const) {
    test(`one options object serves two roles, nested transactions and a fork afterwards (${commit})`, async ({
      a,
      b,
    }) => {
      const OPTIONS = { clear: false }
      const registry = new EngineRegistry({ writer: { orm: a.orm, default: true }, audit: { orm: b.orm, commit } })
      await registry.run(async ({ dbSession: { writer, audit } }: any) => {
        await writer.transactional(async (em: any) => {
          put('outer')(em)
          await em.transactional(put('nested'), OPTIONS)
          await audit.transactional(put('audit inside'), OPTIONS)
        }, OPTIONS)
        await audit.transactional(put('audit'), OPTIONS)
        await b.orm.em.transactional(put('by the global one'), OPTIONS)
      })
      assert.equal(OPTIONS, { clear: false })
      await a.orm.em.fork().transactional(put('by a fork'), OPTIONS)
      assert.equal(await names(a), ['outer', 'nested', 'by a fork'])
      assert.equal(await names(b), ['audit inside', 'audit', 'by the global one'])
    })
  }

  test('frozen options will do for every method, in a unit and outside, and of a session of its own', async ({ a }) => {
    const OPTIONS: any = Object.freeze({ flushMode: 'auto', loggerContext: Object.freeze({ label: 'x' }) })
    const registry = new EngineRegistry({ writer: { orm: a.orm, fork: OPTIONS } })
    const use = async (em: any): Promise<void> => {
      await em.transactional(put('x'), OPTIONS)
      for await (const row of em.stream(Author, OPTIONS)) assert.is(row.name, 'x')
      await em.find(Author, {}, OPTIONS)
      await em.upsert(Author, { id: 1, name: 'y' }, OPTIONS)
      em.getKysely(OPTIONS)
      await em.execute('delete from author', [], OPTIONS)
    }
    await registry.run(async ({ dbSession }) => {
      await use(dbSession.writer)
      await use(a.orm.em)
    })
    await registry.run(() => undefined)
    await using session = registry.session('writer')
    await (session as any).begin(OPTIONS)
    await use(session)
    await session.rollback()
    await a.orm.em.transactional(put('outside of units'), OPTIONS)
    assert.equal(await names(a), ['outside of units'])
  })

  test('the options that another call of MikroORM has written into lead into no other database', async ({ a, b }) => {
    const OPTIONS: any = {}
    const registry = new EngineRegistry({ audit: { orm: b.orm, commit: 'autocommit' } })
    await a.orm.em.fork().transactional(async (em: any) => {
      await em.transactional(put('plain'), OPTIONS)
      assert.ok(OPTIONS.ctx)
      await registry.run(({ dbSession }) => dbSession.audit.transactional(put('audit'), OPTIONS))
    })
    assert.equal([await names(a), await names(b)], [['plain'], ['audit']])
  })

  test.run()
}
