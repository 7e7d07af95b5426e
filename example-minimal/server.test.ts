/** `node --test` runs it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { start } from './server.ts'

let server: Awaited<ReturnType<typeof start>>

before(async () => {
  process.env['DATABASE_FILE'] = ':memory:'
  server = await start(0)
})
after(() => server.close())

const post = (text: string) =>
  fetch(`${server.url}/notes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text }),
  })
const texts = async () => {
  const notes = (await (await fetch(`${server.url}/notes`)).json()) as { text: string }[]
  return notes.map(({ text }) => text)
}

test('a note that is posted is stored', async () => {
  assert.equal((await post('milk')).status, 201)
  assert.ok((await texts()).includes('milk'))
})

test('a request that fails stores nothing', async () => {
  const known = await texts()
  assert.equal((await post('')).status, 422)
  assert.deepEqual(await texts(), known)
})
