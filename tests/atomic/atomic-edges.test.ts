/** Rare turns of a commit over several databases: a transaction that does not wait, a table that goes, ORMs that are closed. */
import * as assert from 'uvu/assert'
import Database from 'better-sqlite3'
import {
  CallTimeoutError,
  ConnectionLostError,
  DECISION_TABLE_SQL,
  DecisionTableError,
  EngineRegistry,
  isRetryable,
  TransactionManager,
  type EngineOptions,
} from '../../source/index.ts'
import { runInUnit } from '../../source/unit/run-in-unit.ts'
import { parseGlobalId } from '../../source/atomic/global-id.ts'
import { Author } from '../support/entities.ts'
import { rejection } from '../support/rejection.ts'
import { addIn, decisionsIn, has, preparedIn, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'

type Registry = EngineRegistry<Record<string, EngineOptions>>

interface World {
  several: SeveralDatabases
  registry: Registry
}

const test = suite<World>('rare turns of a commit over several databases')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({ a: 'postgresql', writer: 'postgresql', file: 'sqlite' })
  world.registry = await world.several.warmRegistry()
})
test.before.each(async ({ several }) => await several.reset())
test.after(async ({ several, registry }) => {
  await registry.close()
  await several.close()
})

/** Adds to `a` and to `writer` in a transaction that waits 60 ms for each of its resources, while that message is held. */
async function impatient({ several, registry }: World, role: string, message: RegExp): Promise<void> {
  const held = several.place(role).wire!.hold(message, 'answer')
  const manager = new TransactionManager({ explicit: true, timeoutMs: 60, onSuppressedError: () => undefined })
  const unit = registry.start({ owner: undefined, anyPreference: [], disableTransaction: false, manager })
  const error = await rejection(
    runInUnit(unit, async () => {
      for (const each of ['a', 'writer']) await unit.session(each).em.insert(Author, { name: 'late' })
    }),
  )
  assert.instance(error, CallTimeoutError)
  held.release()
}

test('a vote that the transaction does not wait for ends before the decision: nothing is stored', async (world) => {
  await impatient(world, 'a', /prepare transaction/)
  const { several } = world
  await until(async () => (await preparedIn(several.place('a'))).length === 0, 'ROLLBACK PREPARED')
  await until(async () => several.place('writer').wire!.sql().includes('rollback'), 'the rollback')
  for (const role of ['a', 'writer']) assert.is(await has(several.place(role), 'late'), 0)
  assert.equal(await decisionsIn(several.place('writer')), [])
})

test('a decision that the transaction does not wait for is carried out all the same, in every database', async (world) => {
  await impatient(world, 'writer', /sqlassist_decision/)
  const { several } = world
  await until(async () => (await preparedIn(several.place('a'))).length === 0, 'COMMIT PREPARED')
  for (const role of ['a', 'writer']) assert.is(await has(several.place(role), 'late'), 1)
})

for (const [what, sql] of [
  ['dropped', ['drop table sqlassist_decision']],
  ['moved', ['create schema if not exists archive', 'alter table sqlassist_decision set schema archive']],
  ['renamed', ['alter table sqlassist_decision rename to decisions_of_2025']],
] as const) {
  test(`when the decision table was ${what}, one commit fails, worth another attempt, and the next one creates it again`, async ({
    several,
    registry,
  }) => {
    const { look } = several.place('writer')
    for (const statement of sql) await look.rows(statement)
    const error = await rejection(addIn(registry, ['a', 'writer'], what))
    assert.instance(error, DecisionTableError)
    assert.match(error.message, /role "writer".*dropped or moved meanwhile.*Nothing was committed/s)
    assert.is((error.cause as { code?: string }).code, '42P01')
    assert.is(isRetryable(error), true)
    for (const role of ['a', 'writer']) assert.is(await has(several.place(role), what), 0)
    await addIn(registry, ['a', 'writer'], what)
    assert.equal(await decisionsIn(several.place('writer')), ['commit'])
    for (const name of ['archive.sqlassist_decision', 'decisions_of_2025'])
      await look.rows(`drop table if exists ${name}`)
  })
}

test('when the decision table of SQLite was dropped, one commit fails, worth another attempt, and the next one creates it again', async ({
  several,
  registry,
}) => {
  const { look } = several.place('file')
  await look.rows('drop table sqlassist_decision')
  const error = await rejection(addIn(registry, ['a', 'file'], 'no table'))
  assert.instance(error, DecisionTableError)
  assert.is(isRetryable(error), true)
  for (const role of ['a', 'file']) assert.is(await has(several.place(role), 'no table'), 0)
  await addIn(registry, ['a', 'file'], 'new table')
  assert.equal(await decisionsIn(several.place('file')), ['commit'])
})

test('a trigger that misses a table of its own at the end is not taken for a missing decision table', async ({
  several,
  registry,
}) => {
  const { look } = several.place('writer')
  await look.rows(`create or replace function miss() returns trigger language plpgsql as
    $$ begin perform 1 from no_such_table; return null; end $$`)
  await look.rows(`create constraint trigger missing after insert on author deferrable initially deferred
    for each row execute function miss()`)
  const error = await rejection(addIn(registry, ['a', 'writer'], 'missing'))
  await look.rows('drop trigger missing on author')
  assert.not.instance(error, DecisionTableError)
  assert.is((error as { code?: string }).code, '42P01')
})

for (const point of ['writer', 'file'] as const) {
  for (const [what, isSettled, sql] of [
    ['emptied', true, ['delete from sqlassist_decision']],
    ['dropped and made again', true, ['drop table sqlassist_decision', DECISION_TABLE_SQL]],
    ['dropped', false, ['drop table sqlassist_decision']],
  ] as const) {
    test(`a commit that ${point} decided is ${isSettled ? 'found' : 'left'} though its table was ${what} under the process`, async ({
      several,
    }) => {
      const place = several.place(point)
      const wire = several.place('a').wire!
      const registry = await several.elsewhere({ [point]: point, a: 'a' })
      const change = async (): Promise<void> => {
        for (const each of sql) await place.look.rows(typeof each === 'string' ? each : each[place.dialect])
      }
      await addIn(registry, [point, 'a'], 'before')
      // A table that is there is written to; one that is not fails the commit.
      if (isSettled) await change()
      const held = wire.hold(/^commit prepared/, 'request')
      await warnings('SQLASSIST_LEFT_PREPARED', async () => {
        const running = addIn(registry, [point, 'a'], 'after')
        await held.reached
        await wire.down()
        held.release()
        await running
      })
      if (!isSettled) await change()
      await wire.up()
      const report = await registry.recover({ graceMs: 0 })
      if (isSettled) assert.is(report.committed.length, 1)
      else assert.match(report.left[0]!.reason, new RegExp(`the table of "${point}" is missing, or was emptied`))
      assert.is(await has(several.place('a'), 'after'), isSettled ? 1 : 0)
      await addIn(registry, [point, 'a'], 'afterwards').catch(() => addIn(registry, [point, 'a'], 'afterwards'))
      assert.is(await has(place, 'afterwards'), 1)
      await registry.close()
    })
  }
}

for (const recover of [{ everyMs: 3_600_000, graceMs: 1 }, false] as const) {
  test(`a connection cut while PREPARE runs on: ${recover ? 'recovery comes soon, and again until it shows' : 'it is said'}`, async ({
    several,
  }) => {
    const { look, wire } = several.place('a')
    const registry = await several.elsewhere({ writer: 'writer', a: 'a' }, { recover })
    await addIn(registry, ['writer', 'a'], 'warm')
    await look.rows(`create or replace function linger() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(78); return null; end $$`)
    await look.rows(`create constraint trigger lingering after insert on author deferrable initially deferred
      for each row execute function linger()`)
    await look.rows('select pg_advisory_lock(78)')
    const seen = await warnings('SQLASSIST_LEFT_PREPARED', async () => {
      const running = rejection(addIn(registry, ['writer', 'a'], 'cut'))
      await until(
        async () => (await look.rows('select 1 from pg_locks where objid = 78 and not granted')).length > 0,
        'PREPARE to wait',
      )
      wire!.cutAll()
      assert.instance(await running, ConnectionLostError)
    })
    assert.match(seen[0]!.message, /may still be prepared/)
    wire!.reset()
    if (recover)
      await until(() => wire!.sql().filter((sql) => sql.includes('pg_prepared_xacts')).length > 2, 'recovery')
    await look.rows('select pg_advisory_unlock(78)')
    if (recover) {
      await until(() => wire!.sql().some((sql) => sql.startsWith('rollback prepared')), 'ROLLBACK PREPARED')
      await until(async () => (await preparedIn(several.place('a'))).length === 0, 'its end')
    } else {
      await until(async () => (await preparedIn(several.place('a'))).length === 1, 'PREPARE')
      assert.is((await registry.recover({ graceMs: 0 })).rolledBack.length, 1)
    }
    await look.rows('drop trigger lingering on author')
    await registry.close()
  })
}

test('a fence is told from any other broken key, on SQLite too', async ({ registry }) => {
  const { decisions } = registry.engine('file').database
  const memory = new Database(':memory:')
  memory.exec(`${DECISION_TABLE_SQL.sqlite}; create table other (id integer primary key)`)
  const broken = (table: string): unknown => {
    try {
      for (let time = 0; time < 2; time++)
        memory.exec(`insert into ${table} values (1${table === 'other' ? '' : ", 'x', 'y', 'z'"})`)
    } catch (error) {
      return error
    }
    return undefined
  }
  assert.is(decisions.isFence(broken('sqlassist_decision')), true)
  assert.is(decisions.isFence(broken('other')), false)
})

test('a table that could not be created since the file was locked is worth another attempt', () => {
  const busy = Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' })
  assert.is(isRetryable(new DecisionTableError('file', DECISION_TABLE_SQL.sqlite, busy)), true)
  assert.is(isRetryable(new DecisionTableError('file', DECISION_TABLE_SQL.sqlite, new Error('no'))), false)
})

test('reinit() asks the databases anew', async ({ several, registry }) => {
  await registry.reinit('writer')
  several.place('writer').wire!.reset()
  await addIn(registry, ['a', 'writer'], 'after reinit')
  assert.ok(
    several
      .place('writer')
      .wire!.sql()
      .some((sql) => sql.includes(`to_regclass('sqlassist_decision')`)),
  )
  assert.is(await has(several.place('a'), 'after reinit'), 1)
})

test('an ORM that was closed by hand is not opened again by the timer', async ({ several }) => {
  const two = await SeveralDatabases.again(several, ['a', 'writer'], {}, { recover: { everyMs: 5, graceMs: 0 } })
  const { wire } = several.place('a')
  await until(() => wire!.sql().filter((sql) => sql.includes('pg_prepared_xacts')).length > 2)
  for (const role of ['a', 'writer']) await two.registry.get(role).close()
  // The run under way goes on to its end, over connections of its own.
  await until(async () => {
    wire!.reset()
    await new Promise((resolve) => setTimeout(resolve, 300))
    return wire!.sql().length === 0
  }, 'the run under way to end')
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(wire!.sql(), [])
  await two.close()
})

test('a server that is down when recovery runs by itself does not stop it', async ({ several }) => {
  const { wire } = several.place('a')
  const two = await SeveralDatabases.again(several, ['a', 'writer'], {}, { recover: { everyMs: 5, graceMs: 0 } })
  await wire!.down()
  const writer = several.place('writer').wire!
  writer.reset()
  await until(() => writer.sql().filter((sql) => sql.includes('pg_prepared_xacts')).length > 2)
  await wire!.up()
  wire!.reset()
  await until(() => wire!.sql().some((sql) => sql.includes('pg_prepared_xacts')))
  await two.close()
})

test('a session that was marked as changed and sent nothing has no part in it', async ({ several, registry }) => {
  await registry.run(async ({ dbSession }: any) => {
    dbSession.markChanged('writer')
    await dbSession.get('a').insert(Author, { name: 'alone' })
  })
  assert.equal(
    several
      .place('a')
      .wire!.sql()
      .map((sql) => sql.split(' ')[0]),
    ['begin', 'insert', 'commit'],
  )
  assert.equal(several.place('writer').wire!.sql(), [])
})

test('an id is read part by part, and nothing else is taken for one', () => {
  const id = parseGlobalId('sqlassist:shop:writer:abc:xyz:audit')
  assert.equal(id, {
    application: 'shop',
    decidingRole: 'writer',
    decidingDatabase: 'abc',
    decision: 'sqlassist:shop:writer:abc:xyz',
    role: 'audit',
  })
  for (const other of ['sqlassist:', 'sqlassist:a:b:c:d', 'sqlassist:a:b:c:d:e:f', 'sqlassist:a::c:d:e']) {
    assert.is(parseGlobalId(other), undefined)
  }
})

test('a role whose name would make an id too long is refused at the start', ({ several }) => {
  const [first, second] = several.places.map(({ orm }) => orm)
  const make = () => new EngineRegistry<any>({ ['x'.repeat(57)]: first, writer: second })
  assert.throws(make, /57 bytes.*56 at most/s)
})

test.run()
