import * as assert from 'uvu/assert'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { ConfigurationError, dbSessions, EngineRegistry, UnknownRoleError } from '../../source/index.ts'
import { transactionsDisabledByEnvironment } from '../../source/registry/disable-transaction.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { suite } from '../support/suite.ts'

const test = suite<{ a: TestOrm; b: TestOrm }>('configuration')

test.before.each(async (context) => {
  context.a = await openOrm(await newDatabase('sqlite'))
  context.b = await openOrm(await newDatabase('sqlite'))
})
test.after.each(async ({ a, b }) => {
  await a.close()
  await b.close()
})

function read(value?: string): boolean {
  return transactionsDisabledByEnvironment({ SQLASSIST_DISABLE_TRANSACTION: value })
}

function refused(
  make: () => unknown,
  message: RegExp,
  type: new (...args: never[]) => Error = ConfigurationError,
): void {
  try {
    make()
  } catch (error) {
    assert.instance(error, type)
    assert.match((error as Error).message, message)
    return
  }
  assert.unreachable('it was accepted')
}

test('a role without an orm is refused with its name and what to give', ({ a }) => {
  refused(
    () => dbSessions({ writer: a, reader: { readOnly: true } as never }),
    /"reader".*orm is undefined.*MikroORM\.init/s,
  )
  refused(() => dbSessions({ writer: undefined as never }), /"writer" is undefined.*MikroORM instance/s)
  refused(() => dbSessions({ writer: { orm: Promise.resolve(a) as never } }), /"writer".*a Promise.*not awaited/s)
  refused(() => dbSessions({}), /No engines were given/)
})

test('a pool that MikroORM does not give out, and so could not be shared by roles either, is refused', async () => {
  const dialect = () => new SqliteDialect({ database: new Database(':memory:') })
  for (const driverOptions of [dialect(), new Kysely({ dialect: dialect() })]) {
    const orm = await openOrm(await newDatabase('sqlite'), { config: { driverOptions } })
    refused(
      () => dbSessions({ writer: orm }),
      /"writer" has a Kysely instance or dialect as driverOptions.*pool of its own/,
    )
    await orm.close()
  }
})

test('a role name that cannot be a property of ctx.dbSession is refused', ({ a }) => {
  refused(() => dbSessions({ 'audit-log': a }), /"audit-log" is no identifier.*auditLog/s)
  refused(() => dbSessions({ '': a }), /"" is no identifier/)
  for (const own of ['get', 'any', 'default', 'status', 'markChanged', 'getReader', 'constructor', 'then']) {
    refused(() => dbSessions({ [own]: a }), new RegExp(`"${own}" is one of the container's own names`))
  }
})

test('two defaults, one orm for two roles, and one contextName for two roles are refused', async ({ a, b }) => {
  refused(
    () => dbSessions({ one: { orm: a, default: true }, two: { orm: b, default: true } }),
    /"one" and "two" both have default: true/,
  )
  refused(() => dbSessions({ one: a, two: a }), /"one" and "two" have the same MikroORM instance/)
  const named = [await openOrm(await newDatabase('sqlite'), { contextName: 'mine' })]
  named.push(await openOrm(await newDatabase('sqlite'), { contextName: 'mine' }))
  refused(
    () => dbSessions({ one: named[0]!, two: named[1]! }),
    /"one" and "two".*one contextName, "mine".*contextName: 'two'/s,
  )
  for (const orm of named) await orm.close()
})

test('an ORM without a contextName gets the name of its role; one that has its own keeps it', async ({ a }) => {
  const own = await openOrm(await newDatabase('sqlite'), { contextName: 'mine' })
  const registry = new EngineRegistry({ plain: a, analytics: own })
  assert.is(registry.get('plain'), a)
  assert.is(a.em.fork().name, 'plain')
  assert.is(a.em.name, 'plain')
  assert.is(own.em.fork().name, 'mine')
  await own.close()
})

test('an option that does not exist or has an impossible value is refused with the possible ones', ({ a }) => {
  refused(() => dbSessions({ writer: { orm: a, readonly: true } as never }), /"writer".*option "readonly".*readOnly/s)
  refused(
    () => dbSessions({ writer: { orm: a, commit: 'later' as never } }),
    /commit: "later".*"joined", "autonomous"/s,
  )
  refused(() => dbSessions({ writer: { orm: a, readOnly: 'yes' as never } }), /readOnly: "yes".*"snapshot"/s)
  refused(() => dbSessions({ writer: { orm: a, keepSession: 1 as never } }), /keepSession: 1/)
  refused(
    () => dbSessions({ writer: { orm: a, isolationLevel: 'high' as never } }),
    /isolationLevel: "high".*serializable/s,
  )
  for (const beside of [{ readOnly: 'snapshot' }, { commit: 'autocommit' }] as const) {
    refused(
      () => dbSessions({ log: { orm: a, isolationLevel: 'serializable', ...beside } }),
      /"log".*'serializable'.*Leave/s,
    )
  }
  refused(() => dbSessions({ log: { orm: a, readOnly: true, commit: 'autonomous' } }), /"log" is readOnly.*autonomous/s)
  refused(() => dbSessions({ log: { orm: a, readOnly: true, initialState: 'changed' } }), /"log" is readOnly.*changed/s)
  for (const beside of [{ readOnly: true }, { readOnly: 'snapshot' }, { commit: 'autonomous' }] as const) {
    refused(() => dbSessions({ log: { orm: a, pipelineCommit: true, ...beside } }), /"log" has pipelineCommit: true/)
  }
  refused(() => dbSessions({ writer: { orm: a, pipelineCommit: 1 as never } }), /pipelineCommit: 1/)
  refused(
    () => dbSessions({ writer: { orm: a, pipelineCommit: true } }),
    /"writer" has pipelineCommit.*runs on sqlite/s,
  )
  refused(() => dbSessions({ writer: a }, { property: 'txn' }), /property: "txn" is taken/)
  refused(() => dbSessions({ writer: a }, { veto: () => true } as never), /no option "veto".*commitVeto/s)
  refused(() => dbSessions({ writer: a }, { activate: true as never }), /activate is true, where a function/)
  refused(
    () => dbSessions({ writer: a }, { anyPreference: ['reader'] }),
    /anyPreference names "reader", which is no role/,
  )
  refused(() => dbSessions({ writer: a }, { anyPreference: [] }), /anyPreference is empty/)
  refused(() => dbSessions({ writer: a }, { disableTransaction: 'no' as never }), /disableTransaction is "no"/)
})

test('an unknown role is refused with the names of the known ones', async ({ a }) => {
  const registry = new EngineRegistry({ writer: a })
  refused(() => registry.get('reader' as never), /no role "reader"; the roles are "writer"/, UnknownRoleError)
  await registry.run(({ dbSession }) => {
    refused(() => dbSession.get('reader' as never), /no role "reader"/, UnknownRoleError)
  })
})

test('the default role is the marked one, the only one, or writer; without one .default says what to do', async ({
  a,
  b,
}) => {
  assert.is(new EngineRegistry({ only: a }).default, 'only')
  assert.is(new EngineRegistry({ reader: a, writer: b }).default, 'writer')
  assert.is(new EngineRegistry({ reader: { orm: a, default: true }, writer: b }).default, 'reader')
  const registry = new EngineRegistry({ one: a, two: b })
  assert.is(registry.default, undefined)
  await registry.run(({ dbSession }) => refused(() => dbSession.default, /No role is the default.*default: true/s))
})

test('SQLASSIST_DISABLE_TRANSACTION is on, off, or an error that shows it', () => {
  for (const on of ['1', 'true', 'YES', ' on ']) assert.is(read(on), true, on)
  for (const off of ['0', 'False', 'no', 'off', '', undefined]) assert.is(read(off), false, String(off))
  refused(() => read('maybe'), /SQLASSIST_DISABLE_TRANSACTION is "maybe".*unset it/s)
})

test.run()
