import * as assert from 'uvu/assert'
import { freshDatabase, prepareTemplate, TemplateError, workerDatabase } from '../../source/testing/index.ts'
import { DIALECTS } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import {
  databasesOf,
  inOtherProcess,
  migration,
  nameIn,
  newUrl,
  siblingOf,
  sql,
  urlOfTemplate,
} from './templates-world.ts'

for (const dialect of DIALECTS) {
  const test = suite(`prepareTemplate on ${dialect}`)

  test('builds it once for all processes and calls that ask at the same time', async () => {
    const url = await newUrl(dialect)
    const { migrate, calls } = migration()
    const here = () => prepareTemplate({ url, key: 'one', migrate })
    const [first, second, ...others] = await Promise.all([
      here(),
      here(),
      inOtherProcess(url, 'one'),
      inOtherProcess(url, 'one'),
    ])
    assert.is(
      others.reduce((sum, each) => sum + each.calls, calls()),
      1,
    )
    const templates = [first, second, ...others.map(({ template }) => template)]
    assert.is(new Set(templates.map(({ name }) => name)).size, 1)
    assert.is(new Set(templates.map((template) => template.run)).size, 4)
    assert.equal(
      (await databasesOf(url)).filter((name) => name.includes('_template_')),
      [nameIn(urlOfTemplate(first))],
    )
  })

  test('finds it the next time, and builds another one for another key', async () => {
    const url = await newUrl(dialect)
    const { migrate, calls } = migration()
    const first = await prepareTemplate({ url, key: 'one', migrate })
    const again = await prepareTemplate({ url, key: 'one', migrate })
    assert.equal([calls(), again.name], [1, first.name])
    const other = await prepareTemplate({ url, key: 'two', migrate: migration('others').migrate })
    assert.is.not(other.name, first.name)
    assert.equal(await sql(await workerDatabase(first), 'select name from goods'), [{ name: 'first' }])
    assert.equal(await sql(await workerDatabase(other), 'select name from others'), [{ name: 'first' }])
  })

  test('returns what JSON keeps', async () => {
    const template = await prepareTemplate({ url: await newUrl(dialect), key: 'one', migrate: migration().migrate })
    assert.equal(JSON.parse(JSON.stringify(template)), template)
    assert.equal(structuredClone(template), template)
  })

  test('throws the error of a migrate that fails, leaves nothing of it, and builds it the next time', async () => {
    const url = await newUrl(dialect)
    const { migrate } = migration()
    const failure = new Error('no such column')
    const failing = async (target: string) => {
      await migrate(target)
      throw failure
    }
    assert.is(await rejection(prepareTemplate({ url, key: 'one', migrate: failing })), failure)
    assert.equal(await databasesOf(url), [])
    const template = await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await sql(await workerDatabase(template), 'select name from goods'), [{ name: 'first' }])
  })

  test('does not wait for the template of another key that is being built, and leaves it alone', async () => {
    const url = await newUrl(dialect)
    const ready = await prepareTemplate({ url, key: 'ready', migrate: migration().migrate })
    const begun = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const slow = prepareTemplate({
      url,
      key: 'slow',
      async migrate(target) {
        begun.resolve()
        await goOn.promise
        await migration('slow_goods').migrate(target)
      },
    })
    await begun.promise
    await workerDatabase(ready)
    if (dialect === 'postgresql') await prepareTemplate({ url, key: 'ready', migrate: migration().migrate })
    goOn.resolve()
    assert.equal(await sql(await workerDatabase(await slow), 'select name from slow_goods'), [{ name: 'first' }])
  })

  test('is for a database that is not there, and touches none of that name', async () => {
    const url = await newUrl(dialect)
    if (dialect === 'postgresql') await sql(siblingOf(url, 'postgres'), `create database ${nameIn(url)}`)
    await sql(url, 'create table own (name text)', `insert into own values ('kept')`)
    const template = await prepareTemplate({ url, key: 'one', migrate: migration().migrate })
    await workerDatabase(template)
    assert.equal(await sql(url, 'select name from own'), [{ name: 'kept' }])
    assert.match(String(await rejection(sql(await workerDatabase(template), 'select name from own'))), /own/)
  })

  test.run()
}

const onPostgres = suite('prepareTemplate on PostgreSQL')

onPostgres('seals it: nobody can connect to it', async () => {
  const template = await prepareTemplate({
    url: await newUrl('postgresql'),
    key: 'one',
    migrate: migration().migrate,
  })
  assert.match(
    (await rejection(sql(urlOfTemplate(template), 'select 1'))).message,
    /not currently accepting connections/,
  )
})

onPostgres(
  'names the connections that migrate left open, does not wait for them, and builds it the next time',
  async () => {
    const url = await newUrl('postgresql')
    const { migrate } = migration()
    const { default: pg } = await import('pg')
    const left: { client?: InstanceType<typeof pg.Client> } = {}
    const error = await rejection(
      prepareTemplate({
        url,
        key: 'one',
        async migrate(target) {
          left.client = new pg.Client({ connectionString: target, application_name: 'seeds' })
          left.client.on('error', () => undefined)
          await left.client.connect()
          await left.client.query('create table seeds (id int)')
        },
      }),
    )
    assert.instance(error, TemplateError)
    assert.match(error.message, /left 1 of its connections open.*await orm\.close\(\).*seeds: create table seeds/)
    const template = await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await databasesOf(url), [template.name])
    await left.client?.end()
  },
)

onPostgres('is for databases of any name, and for upper-case workers', async () => {
  const url = await newUrl('postgresql', `"Ü"'%I`)
  const template = await prepareTemplate({ url, key: 'one', migrate: migration().migrate })
  const clones = await Promise.all(['a', 'A'].map((worker) => workerDatabase(template, { worker })))
  assert.is(new Set(clones).size, 2)
  for (const clone of clones) assert.equal(await sql(clone, 'select name from goods'), [{ name: 'first' }])
  await (await freshDatabase(template)).drop()
  assert.equal(await databasesOf(url), [template.name, ...clones.map(nameIn)].toSorted())
})

onPostgres('keeps to 63 bytes, and apart what only differs behind them', async () => {
  const long = `${'ü'.repeat(12)} "quoted" ${'x'.repeat(26)}`
  const urls = await Promise.all(['1', '2'].map((end) => newUrl('postgresql', long + end)))
  const [one, two] = await Promise.all(
    urls.map((url) => prepareTemplate({ url, key: 'one', migrate: migration().migrate })),
  )
  assert.ok(one && two && one.name !== two.name)
  const worker = 'a_worker_with_a_name_that_is_longer_than_what_is_left'
  const clones = await Promise.all(['1', '2'].map((end) => workerDatabase(one, { worker: worker + end })))
  const names = [one.name, two.name, ...clones.map(nameIn)]
  assert.is(new Set(names).size, 4)
  for (const name of names) assert.ok(Buffer.byteLength(name) <= 63 && name.includes('ü'), name)
  for (const clone of clones) assert.equal(await sql(clone, 'select name from goods'), [{ name: 'first' }])
  // The server would have cut them without a word.
  const there = await (await postgres()).adminQuery('select from pg_database where datname = any($1)', [names])
  assert.is(there.length, 4)
})

onPostgres.run()

const onSqlite = suite('prepareTemplate on SQLite')

onSqlite(
  'has all that was committed in one file, which keeps its journal mode, also where a connection is open',
  async () => {
    const url = await newUrl('sqlite')
    const { default: Database } = await import('better-sqlite3')
    const left: { handle?: InstanceType<typeof Database> } = {}
    const template = await prepareTemplate({
      url,
      key: 'one',
      migrate(target) {
        left.handle = new Database(target)
        left.handle.pragma('journal_mode = wal')
        left.handle.exec(`create table goods (name text); insert into goods values ('first')`)
      },
    })
    left.handle?.exec(`insert into goods values ('too late'); pragma wal_checkpoint(truncate)`)
    left.handle?.close()
    const clone = await workerDatabase(template)
    assert.equal(await sql(clone, 'select name from goods'), [{ name: 'first' }])
    assert.equal(await sql(clone, 'pragma journal_mode'), [{ journal_mode: 'wal' }])
  },
)

for (const mode of ['wal', 'delete']) {
  onSqlite(`refuses a transaction that migrate left open, in the journal mode ${mode}`, async () => {
    const url = await newUrl('sqlite')
    const { default: Database } = await import('better-sqlite3')
    const left: { handle?: InstanceType<typeof Database> } = {}
    const error = await rejection(
      prepareTemplate({
        url,
        key: 'one',
        migrate(target) {
          left.handle = new Database(target)
          left.handle.pragma(`journal_mode = ${mode}`)
          left.handle.exec('create table goods (name text); begin; insert into goods values (1)')
        },
      }),
    )
    assert.instance(error, TemplateError)
    assert.match(error.message, /left a transaction open/)
    assert.equal(await databasesOf(url), [])
    left.handle?.close()
  })
}

onSqlite.run()
