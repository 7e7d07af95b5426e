import { clearTables } from './authors.ts'
import { ormsIdle } from './leaks.ts'
import { openDatabase, type Dialect, type OrmOptions } from './orms.ts'
import { suite, type Test } from './suite.ts'

export type DatabaseWorld = Awaited<ReturnType<typeof openDatabase>>

/** A suite on one new database: its tables are empty before each test, its connections back after each. */
export function databaseSuite<More = object>(
  title: string,
  dialect: Dialect,
  options?: OrmOptions,
): Test<DatabaseWorld & More> {
  const test = suite<DatabaseWorld & More>(title)
  test.before(async (world) => void Object.assign(world, await openDatabase(dialect, options)))
  test.before.each(async ({ look }) => await clearTables(look))
  test.after.each(async ({ orm }) => await ormsIdle(orm))
  test.after(async ({ close }) => await close())
  return test
}
