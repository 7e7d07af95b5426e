import { createSandbox, workerDatabase } from 'koa-sqlassist/testing'
import { Article, openShop } from '../shop.js'

const shop = await openShop(await workerDatabase(JSON.parse(process.env.TEST_TEMPLATE)))
const sandbox = await createSandbox(shop.registry)
beforeAll(() => sandbox.begin()) // a level for the rows that all tests of the file find
beforeEach(() => sandbox.begin())
afterEach(() => sandbox.rollback())
afterAll(() => sandbox.close().finally(shop.close)) // rolls back what is begun

beforeAll(() => shop.registry.run(({ dbSession }) => void dbSession.writer.create(Article, { title: 'Fixture' })))

test('a request stores an article, and the next one finds it', async () => {
  expect((await shop.request('POST', '/articles/Notes')).status).toBe(201)
  expect(await shop.titles()).toEqual(['Fixture', 'Notes'])
})

test('the next test finds the rows of the file, and no others', async () => {
  expect(await shop.titles()).toEqual(['Fixture'])
})

test('a constraint fails the request, which leaves nothing', async () => {
  expect((await shop.request('POST', '/articles/Fixture')).status).toBe(500)
  expect((await shop.request('POST', '/articles/Notes')).status).toBe(201)
  expect(await shop.titles()).toEqual(['Fixture', 'Notes'])
})
