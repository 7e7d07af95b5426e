/** Many tests, one after the other: nothing of one is there in the next. What only the heap shows is up to scripts/heap-of-tests.ts. */
import process from 'node:process'
import * as assert from 'uvu/assert'
import { createSandbox, type Sandbox } from '../../source/testing/index.ts'
import { ormsIdle, watchLeaks } from '../support/leaks.ts'
import { DIALECTS, newDatabase, poolOf } from '../support/orms.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openTestedApp, type TestedApp } from './tested-app.ts'

const ROUNDS = 50
/** A timer that is left is still there at the end. */
const LONG_MS = 60_000
/** By then everything is open that stays open. */
const WARM_UP = 10
const TABLES = ['author', 'book', 'tag', 'book_tags']

interface World {
  app: TestedApp
  look: SecondLook
  sandbox: Sandbox
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`many tests in a sandbox on ${dialect}`)
  const isPostgres = dialect === 'postgresql'

  test.before(async (world) => {
    const target = await newDatabase(dialect)
    world.app = await openTestedApp(target)
    world.look = await secondLook(target)
    world.sandbox = await createSandbox(world.app.registry, { waitMs: LONG_MS })
  })
  test.after(async ({ app, look, sandbox }) => {
    await sandbox.close()
    await app.close()
    await look.close()
  })

  const rowsOf = async (look: SecondLook): Promise<number> => {
    const counts = TABLES.map((table) => `(select count(*) from ${table})`)
    return Number(await look.value(`select ${counts.join(' + ')}`))
  }

  /** The connections of all others to the database, by what they do. */
  const connections = async (look: SecondLook): Promise<Record<string, number>> => {
    if (!isPostgres) return {}
    const rows = await look.rows(`select state, count(*)::int as count from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' group by state`)
    return Object.fromEntries(rows.map(({ state, count }) => [String(state), Number(count)]))
  }

  const round = async ({ app, sandbox }: World, index: number): Promise<void> => {
    await sandbox.begin()
    if (index % 4 === 0) assert.equal(await Promise.all([app.post(), app.post(), app.fail()]), [201, 201, 500])
    else assert.equal([await app.post(), await app.fail()], [201, 500])
    assert.is(await app.get(), index % 4 === 0 ? 2 : 1)
    await sandbox.rollback()
  }

  test('a second connection finds all tables empty after each, and no transaction under way', async (world) => {
    for (let index = 0; index < WARM_UP; index++) {
      await round(world, index)
      assert.is(await rowsOf(world.look), 0)
      // Also one that has only read keeps others from some of what they do.
      if (!isPostgres) await world.look.rows('begin exclusive').then(() => world.look.rows('rollback'))
      assert.equal(
        Object.keys(await connections(world.look)).filter((state) => state !== 'idle'),
        [],
      )
    }
  })

  test('no connection, listener, timer or handle is added by one', async (world) => {
    const { app, look } = world
    const pools = isPostgres ? await Promise.all(app.orms.map(poolOf)) : []
    await ormsIdle(...app.orms)
    const before = { connections: await connections(look), handles: handles() }
    const leaks = watchLeaks({ pools })
    for (let index = 0; index < ROUNDS; index++) await round(world, index)
    await leaks.check()
    assert.equal(await connections(look), before.connections)
    await until(
      () => more(before.handles).length === 0,
      () => `the handles to close: ${more(before.handles).join(', ')}`,
    )
    assert.is(await rowsOf(look), 0)
  })

  test.run()
}

function handles(): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(process.getActiveResourcesInfo(), (name) => name)).map(([name, all]) => [
      name,
      all?.length ?? 0,
    ]),
  )
}

function more(before: Readonly<Record<string, number>>): string[] {
  return Object.entries(handles()).flatMap(([name, count]) => (count > (before[name] ?? 0) ? [`${count} ${name}`] : []))
}
