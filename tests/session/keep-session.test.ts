import * as assert from 'uvu/assert'
import { EngineRegistry, SessionEndedError } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'

for (const dialect of DIALECTS) {
  const test = databaseSuite(`the end of a session on ${dialect}`, dialect)

  test('after commit and after abort a session is cleared and dead, and says what ended it', async ({ orm }) => {
    for (const ending of ['commit', 'abort'] as const) {
      await new EngineRegistry({ writer: orm }).run(async ({ dbSession, tm, txn }) => {
        const em: any = dbSession.writer
        const author = em.create(Author, { name: 'x' })
        await em.flush()
        await txn[ending]()
        await tm.begin()
        assert.throws(
          () => em.persist(author),
          (error: unknown) => {
            assert.instance(error, SessionEndedError)
            assert.match(
              (error as Error).message,
              new RegExp(`"writer".*its transaction was ${ending === 'commit' ? 'committed' : 'aborted'}`),
            )
            return true
          },
        )
        const next: any = dbSession.writer
        assert.is.not(next, em)
        assert.is(next.getUnitOfWork().getIdentityMap().keys().length, 0)
      })
    }
  })

  test('with keepSession the entity manager and its identity map live on in the next transaction', async ({
    orm,
    look,
  }) => {
    await new EngineRegistry({ writer: { orm, keepSession: true } }).run(async ({ dbSession, tm, txn }) => {
      const em: any = dbSession.writer
      const author = em.create(Author, { name: 'first' })
      await txn.commit()
      assert.throws(() => em.persist(author), /"writer" was used after it ended/)
      await tm.begin()
      const next: any = dbSession.writer
      assert.is(next, em)
      assert.is(await next.findOne(Author, author.id), author)
      author.name = 'second'
    })
    assert.is(await look.value('select name from author'), 'second')
  })

  test('em.rollback() rolls back its own role alone, and leaves it usable', async ({ orm, look }) => {
    const other = await openDatabase(dialect)
    await new EngineRegistry({ writer: orm, other: other.orm }).run(async ({ dbSession }) => {
      const em: any = dbSession.writer
      await em.insert(Author, { name: 'rolled back' })
      em.create(Author, { name: 'never flushed' })
      await (dbSession.other as any).insert(Author, { name: 'elsewhere' })
      await em.rollback()
      em.create(Author, { name: 'afterwards' })
    })
    assert.equal(await look.rows('select name from author'), [{ name: 'afterwards' }])
    assert.equal(await other.look.rows('select name from author'), [{ name: 'elsewhere' }])
    await other.close()
  })

  test.run()
}
