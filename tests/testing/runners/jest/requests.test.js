import { createSandbox, workerDatabase } from 'koa-sqlassist/testing'
import { Article, openShop } from '../shop.js'

const shop = await openShop(await workerDatabase(JSON.parse(process.env.TEST_TEMPLATE)))
const sandbox = await createSandbox(shop.registry)
beforeAll(() => sandbox.begin()) // a level for the rows that all tests of the file find
beforeEach(() => sandbox.begin())
afterEach(() => sandbox.rollback())
afterAll(() => sandbox.close().finally(shop.close)) // rolls back what is begun

beforeAll(() => shop.registry.run(({ dbSession }) => void dbSession.writer.create(Article, { title: 'Fixture' })))

test('an article is announced once it is stored', async () => {
  const hooks = await sandbox.captureHooks(() => shop.request('POST', '/articles/Notes'))
  expect(await shop.registry.run(({ dbSession }) => dbSession.reader.count(Article))).toBe(2)
  expect(shop.announced).toEqual([])
  await sandbox.runHooks(hooks)
  expect(shop.announced).toEqual(['Notes'])
})

test('requests that come at the same time are all stored', async () => {
  const answers = await Promise.all(['A', 'B', 'C'].map((title) => shop.request('POST', `/articles/${title}`)))
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
  expect(await shop.titles()).toEqual(['A', 'B', 'C', 'Fixture'])
})

test('a run finds what a request has stored', async () => {
  await shop.request('POST', '/articles/Notes')
  expect(await shop.registry.run(({ dbSession }) => dbSession.reader.count(Article))).toBe(2)
})
