/** What the end of a unit joins, such as a savepoint that nobody has awaited, may open a role that commits by itself. */
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { suiteOfTwo } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Any = any

for (const dialect of DIALECTS) {
  const test = suiteOfTwo(`a role that is opened as the unit ends, on ${dialect}`, dialect)

  test('keeps everything from being committed where it cannot be', async ({ a, b }) => {
    const registry = new EngineRegistry<Any>({ writer: a.orm, audit: { orm: b.orm, commit: 'autonomous' } })
    const running = registry.run(async ({ dbSession, txn }: Any) => {
      await dbSession.writer.insert(Author, { name: 'half' })
      txn.join({
        sortKey: () => 'first',
        tpcBegin() {},
        commit() {},
        tpcVote() {},
        tpcFinish() {},
        tpcAbort() {},
        abort() {},
        async savepoint() {
          await dbSession.audit.insert(Author, { name: 'lost' })
          await rejection(dbSession.audit.execute('select * from missing'))
          return { rollback() {} }
        },
      })
      void txn.savepoint()
    })
    await rejection(running)
    assert.equal(await a.look.rows('select name from author'), [])
    assert.equal(await b.look.rows('select name from author'), [])
  })

  test.run()
}
