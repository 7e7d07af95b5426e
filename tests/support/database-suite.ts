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

export interface TwoDatabases {
  a: DatabaseWorld
  b: DatabaseWorld
}

/** A suite on two new databases; `anew`: on two more for each test, as where a test closes them. */
export function suiteOfTwo<More = object>(title: string, dialect: Dialect, anew = false): Test<TwoDatabases & More> {
  const test = suite<TwoDatabases & More>(title)
  const [before, after] = anew ? [test.before.each, test.after.each] : [test.before, test.after]
  before(async (world) => {
    world.a = await openDatabase(dialect)
    world.b = await openDatabase(dialect)
  })
  after(async ({ a, b }) => {
    await a.close()
    await b.close()
  })
  return test
}
