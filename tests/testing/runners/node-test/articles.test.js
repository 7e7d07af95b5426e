import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { createSandbox } from 'koa-sqlassist/testing'
import { Article, migrate, openShop } from '../shop.js'

await migrate('test.sqlite')
const shop = await openShop('test.sqlite')
const sandbox = await createSandbox(shop.registry)
before(() => sandbox.begin()) // a level for the rows that all tests of the file find
beforeEach(() => sandbox.begin())
afterEach(() => sandbox.rollback())
after(() => sandbox.close().finally(shop.close)) // rolls back what is begun

before(() => shop.registry.run(({ dbSession }) => void dbSession.writer.create(Article, { title: 'Fixture' })))

test('a request stores an article, and the next one finds it', async () => {
  assert.equal((await shop.request('POST', '/articles/Notes')).status, 201)
  assert.deepEqual(await shop.titles(), ['Fixture', 'Notes'])
})

test('the next test finds the rows of the file, and no others', async () => {
  assert.deepEqual(await shop.titles(), ['Fixture'])
})

test('a constraint fails the request, which leaves nothing', async () => {
  assert.equal((await shop.request('POST', '/articles/Fixture')).status, 500)
  assert.equal((await shop.request('POST', '/articles/Notes')).status, 201)
  assert.deepEqual(await shop.titles(), ['Fixture', 'Notes'])
})

test('requests that come at the same time are all stored', async () => {
  const answers = await Promise.all(['A', 'B', 'C'].map((title) => shop.request('POST', `/articles/${title}`)))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 201, 201],
  )
  assert.deepEqual(await shop.titles(), ['A', 'B', 'C', 'Fixture'])
})

test('a run finds what a request has stored', async () => {
  await shop.request('POST', '/articles/Notes')
  assert.equal(await shop.registry.run(({ dbSession }) => dbSession.reader.count(Article)), 2)
})
