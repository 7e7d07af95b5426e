import * as assert from 'uvu/assert'
import { suite } from '../../tests/support/suite.ts'
import { until } from '../../tests/support/until.ts'
import { expected, openExample, type Example } from './example.ts'

const test = suite('two that stand in each other’s way, on postgresql')
let example: Example

test.before(async () => {
  example = await openExample('postgresql')
})
test.after(async () => {
  await example.close()
})

test('a request that the database gave up is done again, and its client never knows', async () => {
  const { look, auditLook, request } = example
  const token = await example.register('reader')
  const slug = await example.publish(token)
  // The other one: it has the article and wants the user, where the request has the user and wants the article. It is the
  // request that PostgreSQL will give up, since the other one is told to wait for long before it looks for a deadlock.
  await look.rows('begin')
  await look.rows(`set local deadlock_timeout = '1min'`)
  await look.rows('select * from articles for update')
  const favorite = request('POST', `/api/articles/${slug}/favorite`, { token })
  const blocked = async () => Number(await look.value('select count(*) from pg_locks where not granted')) > 0
  await until(blocked, 'the request to wait for the article')
  await look.rows('select * from users for update')
  await look.rows('commit')

  const { article } = expected(await favorite, 200).json()
  assert.equal([article.favorited, article.favoritesCount], [true, 1])
  assert.is(await auditLook.value(`select count(*) from audit_log where path like '%favorite'`), 1)
})

test.run()
