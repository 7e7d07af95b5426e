/** A failed statement that the program has undone by a savepoint of its own keeps nothing from being committed. */
import * as assert from 'uvu/assert'
import { CompiledQuery } from 'kysely'
import { EngineRegistry } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Em = any

const WAYS: Readonly<Record<string, (em: Em, sql: string) => Promise<unknown>>> = {
  'em.execute()': (em, sql) => em.execute(sql),
  'em.getKysely()': (em, sql) => em.getKysely().executeQuery(CompiledQuery.raw(sql)),
  'its transaction context': (em, sql) => em.getTransactionContext().executeQuery(CompiledQuery.raw(sql)),
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`savepoints of the program on ${dialect}`, dialect)

  for (const [way, send] of Object.entries(WAYS)) {
    test(`a failure that was undone by ${way} is none`, async ({ orm, look }) => {
      await new EngineRegistry({ writer: { orm } }).run(async ({ dbSession }: Em) => {
        const em = dbSession.writer
        await send(em, 'savepoint mine')
        await rejection(send(em, 'select * from missing'))
        await send(em, 'rollback to mine')
        await em.insert(Author, { name: 'kept' })
      })
      assert.equal(await look.rows('select name from author'), [{ name: 'kept' }])
    })
  }

  test.run()
}
