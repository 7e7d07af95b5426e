/** workerDatabase() and freshDatabase(): the clones of a template. */
import { existsSync } from 'node:fs'
import process from 'node:process'
import Database from 'better-sqlite3'
import pg from 'pg'
import * as assert from 'uvu/assert'
import { freshDatabase, prepareTemplate, TemplateError, workerDatabase } from '../../source/testing/index.ts'
import { DIALECTS } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { databasesOf, migration, nameIn, newUrl, sql, urlOfTemplate } from './templates-world.ts'

const { migrate } = migration()
const VARIABLES = ['VITEST_POOL_ID', 'JEST_WORKER_ID', 'MOCHA_WORKER_ID', 'NODE_TEST_WORKER_ID'] as const

/** With these variables, and none of the others that name a worker. */
async function withVariables<Result>(
  variables: Partial<Record<(typeof VARIABLES)[number], string>>,
  work: () => Promise<Result>,
): Promise<Result> {
  const before = VARIABLES.map((name) => [name, process.env[name]] as const)
  for (const name of VARIABLES) delete process.env[name]
  Object.assign(process.env, variables)
  try {
    return await work()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

for (const dialect of DIALECTS) {
  const test = suite(`clones on ${dialect}`)

  test('each worker has a database of its own, which later calls find as it was left', async () => {
    const template = await prepareTemplate({ url: await newUrl(dialect), key: 'one', migrate })
    const [one, two] = await Promise.all([1, 2].map((worker) => workerDatabase(template, { worker })))
    assert.ok(one && two && one !== two)
    await sql(one, `insert into goods values ('of one')`)
    await sql(two, `insert into goods values ('of two')`)
    assert.is(await workerDatabase(template, { worker: '1' }), one)
    assert.equal(await sql(one, 'select name from goods'), [{ name: 'first' }, { name: 'of one' }])
    assert.equal(await sql(two, 'select name from goods'), [{ name: 'first' }, { name: 'of two' }])
  })

  test('a worker that asks several times at once gets one database', async () => {
    const url = await newUrl(dialect)
    const template = await prepareTemplate({ url, key: 'one', migrate })
    const urls = await Promise.all(Array.from({ length: 5 }, () => workerDatabase(template)))
    assert.is(new Set(urls).size, 1)
    assert.is((await databasesOf(url)).length, 2)
    assert.equal(await sql(urls[0]!, 'select name from goods'), [{ name: 'first' }])
  })

  test('a worker of another run, or of another key, gets another database', async () => {
    const url = await newUrl(dialect)
    const before = await workerDatabase(await prepareTemplate({ url, key: 'one', migrate }))
    await sql(before, `insert into goods values ('of the run before')`)
    const now = await workerDatabase(await prepareTemplate({ url, key: 'one', migrate }))
    assert.equal(await sql(now, 'select name from goods'), [{ name: 'first' }])
    const migrated = await prepareTemplate({ url, key: 'two', migrate: migration('others').migrate })
    assert.equal(await sql(await workerDatabase(migrated), 'select name from others'), [{ name: 'first' }])
  })

  test('the worker is that of the runner, else 1', async () => {
    const template = await prepareTemplate({ url: await newUrl(dialect), key: 'one', migrate })
    const workerOf = async (variables: Parameters<typeof withVariables>[0]) =>
      nameIn(await withVariables(variables, () => workerDatabase(template))).replace(/.*_/, '')
    for (const [index, name] of VARIABLES.entries()) {
      const later = Object.fromEntries(VARIABLES.slice(index + 1).map((each) => [each, '99']))
      assert.is(await workerOf({ [name]: `7${index}`, ...later }), `7${index}`, name)
    }
    assert.is(await workerOf({}), '1')
    assert.is(await workerOf({ JEST_WORKER_ID: '' }), '1')
  })

  test('a fresh database has a name of its own, takes commits, and is gone after the test', async () => {
    const url = await newUrl(dialect)
    const template = await prepareTemplate({ url, key: 'one', migrate })
    const there = await databasesOf(url)
    {
      await using one = await freshDatabase(template)
      await using two = await freshDatabase(template)
      assert.is.not(one.url, two.url)
      await sql(one.url, `insert into goods values ('stored')`)
      assert.equal(await sql(one.url, 'select name from goods'), [{ name: 'first' }, { name: 'stored' }])
      assert.equal(await sql(two.url, 'select name from goods'), [{ name: 'first' }])
    }
    assert.equal(await databasesOf(url), there)
    const again = await freshDatabase(template)
    await again.drop()
    await again.drop()
    assert.equal(await databasesOf(url), there)
  })

  test('a template that is not there any more is an error that says what to do', async () => {
    const template = await prepareTemplate({ url: await newUrl(dialect), key: 'one', migrate })
    const gone = {
      ...template,
      name: urlOfTemplate({ ...template, name: template.name.replace('_template_', '_gone_') }),
    }
    if (dialect === 'postgresql') gone.name = nameIn(gone.name)
    for (const call of [workerDatabase, freshDatabase]) {
      const error = await rejection(call(gone))
      assert.instance(error, TemplateError)
      assert.match(error.message, /_gone_\w+(?:\.sqlite)? is not there.*call prepareTemplate\(\) again/)
    }
  })

  test.run()
}

const onPostgres = suite('fresh databases on PostgreSQL')

onPostgres('go with the connections that are open to them, and with what was left prepared', async () => {
  const url = await newUrl('postgresql')
  const template = await prepareTemplate({ url, key: 'one', migrate })
  const fresh = await freshDatabase(template)
  await sql(fresh.url, 'begin', `insert into goods values ('prepared')`, `prepare transaction 'left'`)
  const client = new pg.Client({ connectionString: fresh.url })
  const ended = Promise.withResolvers<Error>()
  client.on('error', ended.resolve)
  await client.connect()
  await client.query('begin')
  await fresh.drop()
  assert.equal(await databasesOf(url), [template.name])
  assert.match((await ended.promise).message, /terminat/)
})

onPostgres('leave no connection of the library behind', async () => {
  const template = await prepareTemplate({ url: await newUrl('postgresql'), key: 'one', migrate })
  const { adminQuery } = await postgres()
  const others = () =>
    adminQuery<{ pid: number }>(
      `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() ` +
        `and (query like '%advisory%' or query like '%${template.hash}%')`,
    )
  await workerDatabase(template)
  await (await freshDatabase(template)).drop()
  await rejection(workerDatabase({ ...template, name: 'nothing' }, { worker: 'none' }))
  // The server notices the end of a connection a little later.
  await until(async () => (await others()).length === 0, 'the end of the connections')
})

onPostgres.run()

const onSqlite = suite('fresh databases on SQLite')

onSqlite('go with what SQLite has beside them, while they are open', async () => {
  const template = await prepareTemplate({ url: await newUrl('sqlite'), key: 'one', migrate })
  const fresh = await freshDatabase(template)
  const handle = new Database(fresh.url)
  handle.exec(`insert into goods values ('stored')`)
  const files = ['', '-wal', '-shm'].map((ending) => fresh.url + ending)
  assert.ok(files.every((file) => existsSync(file)))
  await fresh.drop()
  assert.equal(files.filter(existsSync), [])
  handle.close()
})

onSqlite.run()
