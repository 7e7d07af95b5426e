import * as assert from 'uvu/assert'
import { suite } from '../../tests/support/suite.ts'
import { openWire, type Wire } from '../../tests/support/wire.ts'
import { expected, openExample, type Example } from './example.ts'

const test = suite('what the example sends, on postgresql')
let wire: Wire
let example: Example
let token: string

test.before(async () => {
  example = await openExample('postgresql', {
    async via(url) {
      wire = await openWire(url)
      return wire.url
    },
  })
  token = await example.register('author')
  await example.request('GET', '/') // on its first connection MikroORM looks whether the database is there
})

test.after(async () => {
  await example.close()
  await wire.close()
})

/** The statements of each connection that `work` used, each down to its first words. */
async function sent(work: () => Promise<unknown>): Promise<string[][]> {
  wire.reset()
  await work()
  const connections = Map.groupBy(wire.statements(), ({ connection }) => connection)
  return [...connections.values()].map((statements) => readsAlone(statements.map(({ sql }) => outline(sql))))
}

/** PostgreSQL keeps each statement of the reader to reading, in one message: `read users`. */
function readsAlone(outlines: readonly string[]): string[] {
  return outlines
    .join('|')
    .replaceAll(/begin read\|select (\w+)\|rollback/g, 'read $1')
    .split('|')
}

function outline(sql: string): string {
  return /^(?:insert into|select.*? from(?= "| users)|\w+)(?: "?[a-z_]+"?)?/s
    .exec(sql)![0]
    .replace(/^select.* from/s, 'select')
    .replaceAll('"', '')
}

test('creating an article: the author read by the reader, one insert in one transaction, one audit entry', async () => {
  const connections = await sent(() => example.publish(token))
  assert.equal(connections.toSorted(), [
    ['begin', 'insert into articles', 'commit'],
    ['begin', 'insert into audit_log', 'commit'],
    ['read users', 'read follows'],
  ])
})

test('a favourite: the user locked, one insert, and its count read in the same transaction', async () => {
  const slug = await example.publish(token)
  const connections = await sent(() => example.request('POST', `/api/articles/${slug}/favorite`, { token }))
  assert.equal(connections.toSorted(), [
    ['begin', 'insert into audit_log', 'commit'],
    [
      'begin',
      'select users',
      'insert into favorites',
      'select articles',
      'select article_tags',
      'select favorites',
      'select follows',
      'commit',
    ],
    ['read users', 'read articles'],
  ])
})

test('two who follow each other at the same moment do not wait for each other', async () => {
  const [romeo, juliet] = [await example.register('romeo'), await example.register('juliet')]
  let first = true
  const held = wire.hold(({ text }) => {
    const isFirst = first && text.includes('insert into "follows"')
    if (isFirst) first = false
    return isFirst
  }, 'answer')
  const follow = (name: string, as: string) => example.request('POST', `/api/profiles/${name}/follow`, { token: as })
  const one = follow('juliet', romeo)
  await held.reached
  expected(await follow('romeo', juliet), 200)
  held.release()
  expected(await one, 200)
})

test('the front page: reads, each alone', async () => {
  const connections = await sent(() => example.request('GET', '/'))
  assert.equal(connections.flat().toSorted(), ['read article_tags', 'read articles', 'read articles'])
})

test('a list: as many statements for many rows as for one', async () => {
  const reader = await example.register('reader')
  const authors = await Promise.all(['first', 'second', 'third'].map((name) => example.register(name)))
  const post = (path: string, as: string, body?: unknown) => example.request('POST', path, { token: as, body })
  async function addRows(author: string, name: string): Promise<void> {
    const path = `/api/articles/${await example.publish(author, { tagList: ['listed', name] })}`
    await post(`${path}/favorite`, reader)
    await post(`/api/profiles/${name}/follow`, reader)
    await post(`/api/articles/${slug}/comments`, author, { comment: { body: 'Well said' } })
  }
  const slug = await example.publish(token)
  const lists = [
    '/api/articles?tag=listed',
    '/api/articles?favorited=reader',
    '/api/articles/feed',
    `/api/articles/${slug}/comments`,
    '/api/tags',
    '/',
    `/article/${slug}`,
  ]
  async function counts(): Promise<number[]> {
    const numbers: number[] = []
    for (const path of lists) {
      numbers.push((await sent(() => example.request('GET', path, { token: reader }))).flat().length)
    }
    return numbers
  }
  await addRows(authors[0]!, 'first')
  const forOne = await counts()
  await addRows(authors[1]!, 'second')
  await addRows(authors[2]!, 'third')
  await addRows(authors[2]!, 'third')
  assert.equal(await counts(), forOne)
  // The user; the articles, their number and their tags; favourites and follows.
  assert.equal(forOne.slice(0, 3), [6, 6, 6])
})

test('the style sheet: nothing at all', async () => {
  assert.equal(await sent(() => example.request('GET', '/style.css')), [])
})

test('a request that is refused before it wrote anything: only its audit entry', async () => {
  const connections = await sent(() => example.request('POST', '/api/articles', { body: {} }))
  assert.equal(connections, [['begin', 'insert into audit_log', 'commit']])
})

test.run()
