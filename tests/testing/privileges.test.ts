/** What the user of the tests needs on a server: CREATEDB, and nothing else. */
import process from 'node:process'
import * as assert from 'uvu/assert'
import { freshDatabase, prepareTemplate, workerDatabase } from '../../source/testing/index.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { databasesOf, inOtherProcess, makeOld, migration, nameIn, newUrl, sql } from './templates-world.ts'

const USER = `tester_${process.pid}`
const { migrate } = migration()
const test = suite('the privileges for the databases of tests')

test.before(async () => {
  const { adminQuery } = await postgres()
  await adminQuery(`create role ${USER} login createdb password 'secret'`)
})

test.after(async () => {
  const { adminQuery } = await postgres()
  const owned = await adminQuery<{ datname: string }>(
    'select datname from pg_database where datdba = $1::regrole order by datname',
    [USER],
  )
  for (const { datname } of owned) await adminQuery(`drop database ${datname} with (force)`)
  await adminQuery(`drop role ${USER}`)
})

async function newUrlOfUser(): Promise<string> {
  const url = new URL(await newUrl('postgresql'))
  url.username = USER
  url.password = 'secret'
  return url.href
}

test('a user who may only create databases does all of it', async () => {
  const url = await newUrlOfUser()
  const { template, clone } = await inOtherProcess(url, 'one')
  await makeOld(clone)
  const two = await prepareTemplate({ url, key: 'two', migrate })
  assert.equal(await databasesOf(url), [template.name, two.name].toSorted())
  const worker = await workerDatabase(two)
  assert.equal(await sql(worker, 'select name from goods'), [{ name: 'first' }])
  const fresh = await freshDatabase(two)
  await fresh.drop()
  assert.equal(await databasesOf(url), [template.name, two.name, nameIn(worker)].toSorted())
})

test('what another user made is left alone', async () => {
  const url = await newUrlOfUser()
  const { adminQuery } = await postgres()
  const foreign = `${nameIn(url)}_test_0a1b2c3d_a1b2c3_1`
  await adminQuery(`create database ${foreign}`)
  const template = await prepareTemplate({ url, key: 'one', migrate })
  assert.equal(await databasesOf(url), [template.name, foreign].toSorted())
  await adminQuery(`drop database ${foreign}`)
})

test('a user who may not enter the database postgres goes by that of the url', async () => {
  const url = await newUrlOfUser()
  const { adminQuery } = await postgres()
  await adminQuery('revoke connect on database postgres from public')
  try {
    assert.match((await rejection(prepareTemplate({ url, key: 'one', migrate }))).message, 'does not exist')
    assert.equal(await databasesOf(url), [])
    await adminQuery(`create database ${nameIn(url)} owner ${USER}`)
    const template = await prepareTemplate({ url, key: 'one', migrate })
    assert.equal(await sql(await workerDatabase(template), 'select name from goods'), [{ name: 'first' }])
  } finally {
    await adminQuery('grant connect on database postgres to public')
  }
})

test('a user who may create none gets the error of the server', async () => {
  const { adminQuery } = await postgres()
  await adminQuery(`alter role ${USER} nocreatedb`)
  try {
    const error = await rejection(prepareTemplate({ url: await newUrlOfUser(), key: 'one', migrate }))
    assert.match(error.message, 'permission denied to create database')
  } finally {
    await adminQuery(`alter role ${USER} createdb`)
  }
})

test.run()
