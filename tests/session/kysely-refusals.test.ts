/** What `em.getKysely()` of a session does not do: have a transaction, or a connection, of its own. */
import * as assert from 'uvu/assert'
import type { Kysely } from 'kysely'
import { EngineRegistry, ManagedSessionError } from '../../source/index.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { suite } from '../support/suite.ts'

type Database = Awaited<ReturnType<typeof openDatabase>>

const REFUSED: Readonly<Record<string, (kysely: Kysely<any>) => unknown>> = {
  'transaction()': (kysely) => kysely.transaction(),
  'startTransaction()': (kysely) => kysely.startTransaction(),
  'connection()': (kysely) => kysely.connection(),
  'destroy()': (kysely) => kysely.destroy(),
}

for (const dialect of DIALECTS) {
  const test = suite<Database>(`Kysely of a session on ${dialect}`)

  test.before(async (world) => void Object.assign(world, await openDatabase(dialect)))
  test.after(async ({ close }) => await close())

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
