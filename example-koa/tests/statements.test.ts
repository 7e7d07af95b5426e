import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openWire, type Wire } from '../../tests/support/wire.ts'
import { openExample, type Example } from './example.ts'

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
  return [...connections.values()].map((statements) => statements.map(({ sql }) => outline(sql)))
}

function outline(sql: string): string {
  return /^(?:insert into|select.*? from|\w+)(?: "[a-z_]+")?/s
    .exec(sql)![0]
    .replace(/^select.* from/s, 'select')
    .replaceAll('"', '')
}

test('creating an article: the author read by the reader, one insert in one transaction, one audit entry', async () => {
  const connections = await sent(() => example.publish(token))
  assert.equal(connections.toSorted(), [
    ['begin', 'insert into articles', 'commit'],
    ['begin', 'insert into audit_log', 'commit'],
    ['select users'],
  ])
})

test('the front page: reads, and no transaction', async () => {
  const connections = await sent(() => example.request('GET', '/'))
  assert.equal(connections, [['select articles', 'select article_tags']])
})

test('the style sheet: nothing at all', async () => {
  assert.equal(await sent(() => example.request('GET', '/style.css')), [])
})

test('a request that is refused before it wrote anything: only its audit entry', async () => {
  const connections = await sent(() => example.request('POST', '/api/articles', { body: {} }))
  assert.equal(connections, [['begin', 'insert into audit_log', 'commit']])
})

test.run()
