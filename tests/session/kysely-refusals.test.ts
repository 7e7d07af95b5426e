/** What `em.getKysely()` of a session does not do: have a transaction, or a connection, of its own. */
import * as assert from 'uvu/assert'
import type { Kysely } from 'kysely'
import { EngineRegistry, ManagedSessionError } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { DIALECTS } from '../support/orms.ts'

const REFUSED: Readonly<Record<string, (kysely: Kysely<any>) => unknown>> = {
  'transaction()': (kysely) => kysely.transaction(),
  'startTransaction()': (kysely) => kysely.startTransaction(),
  'connection()': (kysely) => kysely.connection(),
  'destroy()': (kysely) => kysely.destroy(),
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`Kysely of a session on ${dialect}`, dialect)

  for (const [name, call] of Object.entries(REFUSED)) {
    test(`refuses ${name}, also without its plugins, and goes on`, async ({ orm }) => {
      await new EngineRegistry({ writer: orm }).run(async ({ dbSession }) => {
        const kysely = dbSession.writer.getKysely<any>()
        for (const each of [kysely, kysely.withoutPlugins()]) {
          assert.throws(
            () => call(each),
            (error: unknown) =>
              error instanceof ManagedSessionError && error.message.startsWith(`kysely.${name} was called`),
          )
          assert.is(each.isTransaction, true)
        }
        assert.equal(await kysely.withoutPlugins().selectFrom('author').selectAll().execute(), [])
      })
    })
  }

  test.run()
}
