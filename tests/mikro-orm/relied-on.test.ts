/** Every private or undocumented part of MikroORM, Kysely and pg that the library relies on, checked one by one. */
import { fillTables, openWorld } from '../memory/savepoint-world.ts'
import { suite } from '../support/suite.ts'
import type { Worlds } from './reliance.ts'
import { RELIED_ON } from './relied-on.ts'

const test = suite<Worlds>('relied on')
test.before(async (worlds) => {
  const sqlite = await openWorld('sqlite', 'sqlite')
  const postgres = await openWorld('postgresql', 'postgres')
  Object.assign(worlds, { sqlite, postgres })
})
test.before.each(async ({ sqlite, postgres }) => {
  await fillTables(sqlite)
  await fillTables(postgres)
})
test.after(async ({ sqlite, postgres }) => {
  await sqlite.orm.close(true)
  await postgres.orm.close(true)
  await sqlite.close()
  await postgres.close()
})

for (const { what, check } of RELIED_ON) test(what, (worlds) => check(worlds) as Promise<void>)

test.run()
