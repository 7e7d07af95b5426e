/** What prepareTemplate() drops of earlier runs, and what it never drops. */
import pg from 'pg'
import * as assert from 'uvu/assert'
import { freshDatabase, prepareTemplate, workerDatabase } from '../../source/testing/index.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import {
  databasesOf,
  inOtherProcess,
  makeOld,
  migration,
  nameIn,
  newUrl,
  siblingOf,
  sql,
  urlOfTemplate,
} from './templates-world.ts'

const { migrate } = migration()

for (const dialect of DIALECTS) {
  const test = suite(`leftovers on ${dialect}`)

  test('the databases of a run that is over are dropped', async () => {
    const url = await newUrl(dialect)
    const { template, clone } = await inOtherProcess(url, 'one')
    const fresh = await freshDatabase(template)
    for (const each of [clone, fresh.url]) await makeOld(each)
    await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await databasesOf(url), [nameIn(urlOfTemplate(template))])
  })

  test('those of a run whose database was given out just now are kept, all of them', async () => {
    const url = await newUrl(dialect)
    const { template, clone } = await inOtherProcess(url, 'one')
    const other = await workerDatabase(template, { worker: 'other' })
    await makeOld(other)
    await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await databasesOf(url), [urlOfTemplate(template), other, clone].map(nameIn).toSorted())
    await makeOld(clone)
    await workerDatabase(template, { worker: 'other' })
    await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await databasesOf(url), [urlOfTemplate(template), other, clone].map(nameIn).toSorted())
  })

  test('databases that others named are kept, however they are called', async () => {
    const url = await newUrl(dialect)
    const base = nameIn(url)
    const { template, clone } = await inOtherProcess(url, 'one')
    const hash = template.hash
    const names = [
      base,
      `${base}_test`,
      `${base}_test_1`,
      `${base}_test_${hash}`,
      `${base}_test_${hash}_manual`,
      `${base}_test_${hash.toUpperCase()}x_run_1`,
      `${base}_template`,
      `${base}_template_of_mine`,
      `${base}_template_${hash}_old`,
      `${base}0_test_${hash}_a1b2c3_1`,
      `${base}-test_${hash}_a1b2c3_1`,
    ].toSorted()
    for (const name of names) {
      if (dialect === 'postgresql')
        await sql(siblingOf(url, 'postgres'), `create database ${pg.escapeIdentifier(name)}`)
      else await sql(siblingOf(url, name), 'create table own (name text)', 'select 1')
    }
    for (const each of [clone, urlOfTemplate(template)]) await makeOld(each)
    await prepareTemplate({ url, key: 'two', migrate })
    const left = (await databasesOf(url)).filter((name) => !/_template_[0-9a-f]{8}$/.test(name))
    assert.equal(left, names)
  })

  test('the template of another key is dropped an hour after it was asked for, and not before', async () => {
    const url = await newUrl(dialect)
    const one = await prepareTemplate({ url, key: 'one', migrate })
    const two = await prepareTemplate({ url, key: 'two', migrate })
    assert.equal(await databasesOf(url), [one, two].map(urlOfTemplate).map(nameIn).toSorted())
    await makeOld(urlOfTemplate(one))
    await prepareTemplate({ url, key: 'two', migrate })
    assert.equal(await databasesOf(url), [nameIn(urlOfTemplate(two))])
  })

  test('the template of another key is kept while a run of it is under way', async () => {
    const url = await newUrl(dialect)
    const { template, clone } = await inOtherProcess(url, 'one')
    await makeOld(urlOfTemplate(template))
    await prepareTemplate({ url, key: 'two', migrate })
    assert.ok((await databasesOf(url)).includes(nameIn(urlOfTemplate(template))))
    await makeOld(clone)
    await prepareTemplate({ url, key: 'two', migrate })
    assert.not.ok((await databasesOf(url)).includes(nameIn(urlOfTemplate(template))))
  })

  test('what a killed process left half built is built anew', async () => {
    const url = await newUrl(dialect)
    assert.match(String(await rejection(inOtherProcess(url, 'one', 'dies'))), 'Command failed')
    assert.is((await databasesOf(url)).length, 1)
    const template = await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await databasesOf(url), [nameIn(urlOfTemplate(template))])
    assert.equal(await sql(await workerDatabase(template), 'select name from goods'), [{ name: 'first' }])
  })

  test('what a process left half built is dropped, also that of another key', async () => {
    const url = await newUrl(dialect)
    const half = siblingOf(url, `${nameIn(url)}_template_0a1b2c3d_building`)
    if (dialect === 'postgresql') await sql(siblingOf(url, 'postgres'), `create database ${nameIn(half)}`)
    else await sql(half, 'create table own (name text)', 'select 1')
    const template = await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await databasesOf(url), [nameIn(urlOfTemplate(template))])
  })

  test.run()
}

const onPostgres = suite('leftovers on PostgreSQL')

onPostgres('all databases of a run are kept while somebody is connected to one of them', async () => {
  const url = await newUrl('postgresql')
  const template = await prepareTemplate({ url, key: 'one', migrate })
  const clones = await Promise.all([1, 2].map((worker) => workerDatabase(template, { worker })))
  for (const each of clones) await makeOld(each)
  const client = new pg.Client({ connectionString: clones[0]! })
  await client.connect()
  await prepareTemplate({ url, key: 'one', migrate })
  assert.equal(await databasesOf(url), [template.name, ...clones.map(nameIn)].toSorted())
  assert.equal((await client.query('select name from goods')).rows, [{ name: 'first' }])
  await client.end()
})

onPostgres('a database in which something was left prepared is dropped as well', async () => {
  const url = await newUrl('postgresql')
  const template = await prepareTemplate({ url, key: 'one', migrate })
  const clone = await workerDatabase(template)
  await sql(clone, 'begin', `insert into goods values ('prepared')`, `prepare transaction 'the client''s'`)
  await makeOld(clone)
  await prepareTemplate({ url, key: 'one', migrate })
  assert.equal(await databasesOf(url), [template.name])
})

onPostgres.run()

const onSqlite = suite('leftovers on SQLite')

onSqlite('the files of a process that lives are kept, whenever they were written to', async () => {
  const url = await newUrl('sqlite')
  const template = await prepareTemplate({ url, key: 'one', migrate })
  const clone = await workerDatabase(template)
  await makeOld(clone)
  await prepareTemplate({ url, key: 'one', migrate })
  assert.equal(await databasesOf(url), [template.name, clone].map(nameIn).toSorted())
})

onSqlite.run()
