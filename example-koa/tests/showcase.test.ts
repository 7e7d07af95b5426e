import * as assert from 'uvu/assert'
import { AuditEntry } from '../entities/audit-entry.ts'
import { User } from '../entities/user.ts'
import { expected, onEveryDatabase, type ExampleOptions } from './example.ts'

/** Routes that do what the application's own never do. */
const route: ExampleOptions['route'] = async (ctx) => {
  const { writer, logger } = ctx.dbSession
  const name = ctx.path.slice(1)
  writer.create(User, { username: name, email: `${name}@example.org`, passwordHash: '' })
  logger.create(AuditEntry, { method: ctx.method, path: ctx.path })
  if (name === 'committed-by-hand') await writer.commit()
  if (name === 'thrown') {
    await writer.flush()
    throw new Error('after everything was written')
  }
  ctx.status = name === 'answered-500' ? 500 : 404
  ctx.body = name
}

onEveryDatabase(
  'what the example shows',
  (test, example, disableTransaction) => {
    let token: string
    test.before(async () => {
      token = await example().register('author')
    })

    async function countOf(table: string): Promise<unknown> {
      return await example().look.value(`select count(*) from ${table}`)
    }

    async function lastAudit(): Promise<Record<string, unknown>> {
      const [entry] = await example().auditLook.rows('select * from audit_log order by id desc limit 1')
      return { ...entry, committed: Boolean(entry?.['committed']) }
    }

    test('what a route created and never flushed is committed when the client has the answer', async () => {
      const { publish, look } = example()
      const slug = await publish(token, { tagList: ['one', 'two'] })
      assert.is(await look.value(`select count(*) from articles where slug = '${slug}'`), 1)
      assert.is(await look.value(`select count(*) from article_tags where name in ('one', 'two')`), 2)
    })

    test('a dry run answers as if, leaves nothing, tells nobody, and is in the audit log', async () => {
      const { request, published } = example()
      const before = [await countOf('articles'), await countOf('article_tags'), published.length]
      const article = { title: 'Dry', description: 'd', body: 'b', tagList: ['t'] }
      const reply = await request('POST', '/api/articles?dryRun=true', { token, body: { article } })
      assert.is(expected(reply, 201).json().article.title, 'Dry')
      assert.equal([await countOf('articles'), await countOf('article_tags'), published.length], before)
      const { method, path, actor, status, committed } = await lastAudit()
      assert.equal([method, path, actor, status, committed], ['POST', '/api/articles', 'author', 201, false])
    })

    test('a request that failed leaves nothing but its audit entry', async () => {
      const { request } = example()
      const before = await countOf('users')
      const user = { username: 'author', email: 'someone@example.org', password: 'x' }
      expected(await request('POST', '/api/users', { body: { user } }), 422)
      assert.is(await countOf('users'), before)
      const { path, actor, status, committed } = await lastAudit()
      assert.equal([path, actor, status, committed], ['/api/users', null, 422, false])
    })

    test('the audit entry of a request that succeeded says so', async () => {
      await example().publish(token)
      const { path, status, committed } = await lastAudit()
      assert.equal([path, status, committed], ['/api/articles', 201, true])
    })

    test('subscribers hear of an article once it is committed', async () => {
      const { publish, published } = example()
      const slug = await publish(token)
      assert.is(published.at(-1), slug)
    })

    test('views counted by raw SQL are kept, also those of many readers at once', async () => {
      const { publish, request, look } = example()
      const slug = await publish(token)
      await Promise.all(Array.from({ length: 10 }, () => request('GET', `/article/${slug}`)))
      assert.is(await look.value(`select views from articles where slug = '${slug}'`), 10)
      assert.match(expected(await request('GET', `/article/${slug}`), 200).text, '10 views')
    })

    test('an error after everything was flushed leaves only what the logger wrote', async () => {
      const { request, look, auditLook, served } = example()
      const reply = expected(await request('POST', '/thrown'), 500)
      assert.not.match(reply.text, 'after everything was written')
      assert.is(served.errors.at(-1)?.message, 'after everything was written')
      assert.is(await look.value(`select count(*) from users where username = 'thrown'`), 0)
      assert.is(await auditLook.value(`select count(*) from audit_log where path = '/thrown'`), 1)
    })

    test('a commit that fails is answered and told to nobody, also in a dry run', async () => {
      const { request, publish, look, published } = example()
      await look.rows(`create unique index only_one on articles (title) where title = 'Only one'`)
      await publish(token, { title: 'Only one' })
      const before = published.length
      const article = { title: 'Only one', description: 'd', body: 'b' }
      expected(await request('POST', '/api/articles', { token, body: { article } }), 422)
      assert.equal([(await lastAudit())['path'], (await lastAudit())['committed']], ['/api/articles', false])
      expected(await request('POST', '/api/articles?dryRun=true', { token, body: { article } }), 422)
      assert.is(await look.value(`select count(*) from articles where title = 'Only one'`), 1)
      assert.is(published.length, before)
    })

    test('an answer of 500 aborts, one of 404 commits', async () => {
      const { request, look } = example()
      expected(await request('POST', '/answered-500'), 500)
      expected(await request('POST', '/answered-404'), 404)
      const names = await look.rows(`select username from users where username like 'answered-%'`)
      assert.equal(names, [{ username: 'answered-404' }])
    })

    test('a commit by hand works when transactions are disabled, and is refused when they are not', async () => {
      const { request, look } = example()
      expected(await request('POST', '/committed-by-hand'), disableTransaction ? 404 : 500)
      const kept = await look.value(`select count(*) from users where username = 'committed-by-hand'`)
      assert.is(kept, disableTransaction ? 1 : 0)
    })
  },
  { route },
)
