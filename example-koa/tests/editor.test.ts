import * as assert from 'uvu/assert'
import type { Reply } from '../../tests/support/http.ts'
import { expected, onEveryDatabase } from './example.ts'

const DRAFT = { title: 'By hand', description: 'In a browser', body: 'First\r\nSecond', tags: 'one, two  three' }

onEveryDatabase('the form on the front page', (test, example) => {
  async function send(fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Reply> {
    return await example().served.request('POST', '/articles', {
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(fields).toString(),
    })
  }
  const somebody = (username: string) => ({ username, email: `${username}@example.org`, password: 'secret' })

  /** The cookie that the reply sets, as a browser would send it back. */
  function cookieOf({ headers }: Reply): string {
    const [cookie = ''] = headers['set-cookie'] ?? []
    return cookie.split(';')[0]!
  }

  async function counts(): Promise<unknown[]> {
    const { look } = example()
    return [await look.value('select count(*) from users'), await look.value('select count(*) from articles')]
  }

  async function lastAudit(): Promise<unknown[]> {
    const [entry] = await example().auditLook.rows('select * from audit_log order by id desc limit 1')
    return [entry?.['path'], entry?.['actor'], entry?.['status'], Boolean(entry?.['committed'])]
  }

  test.before(async () => {
    for (const name of ['grace', 'alan']) expected(await send({ ...somebody(name), ...DRAFT }), 303)
  })

  test('registers its author along with the article, and signs in', async () => {
    const { request, served } = example()
    const published = expected(await send({ ...somebody('ada'), ...DRAFT }), 303)
    const { location } = published.headers
    assert.match(String(location), /^\/article\/by-hand-/)
    assert.match(published.headers['set-cookie']![0]!, /; httponly$/i)
    assert.match(published.headers['set-cookie']![0]!, /; samesite=strict/i)
    assert.equal(await lastAudit(), ['/articles', 'ada', 303, true])

    const { article } = expected(await request('GET', `/api/articles/${location!.slice(9)}`), 200).json()
    assert.equal([article.body, article.tagList], ['First\nSecond', ['one', 'two', 'three']])

    const cookie = cookieOf(published)
    const front = expected(await served.request('GET', '/', { headers: { cookie } }), 200)
    assert.match(front.text, 'You are <strong>ada</strong>')
    assert.not.match(front.text, 'type="password"')
    expected(await send(DRAFT, { cookie }), 303)
    assert.equal(await counts(), [3, 4])
  })

  test('leaves nothing of the one or the other when anything fails, however late', async () => {
    const before = await counts()
    for (const [status, fields] of [
      [500, { ...somebody('eve'), ...DRAFT, fail: 'on' }],
      [422, { ...somebody('eve'), ...DRAFT, title: '' }],
      [422, { ...somebody('eve'), ...DRAFT, username: 'grace' }],
      [401, { ...somebody('eve'), ...DRAFT, email: 'grace@example.org', password: 'wrong' }],
      [422, {}],
    ] as const) {
      const page = expected(await send(fields), status)
      assert.match(page.text, 'Nothing of it was stored')
      assert.is(page.headers['set-cookie'], undefined)
      assert.equal(await counts(), before)
      assert.equal((await lastAudit()).slice(2), [status, false])
    }
    const front = expected(await example().request('GET', '/'), 200)
    assert.match(front.text, `>${String(before[1])} articles<`)
    assert.is(example().served.errors.pop()?.message, 'failed on purpose, when everything was written')
    assert.equal(example().served.errors, [])
  })

  test('names what is wrong, escaped', async () => {
    const page = expected(await send({ ...somebody('eve'), ...DRAFT, title: ' ', email: '<at home>' }), 422)
    assert.match(page.text, `<li>title can&#39;t be empty</li>`)
    assert.match(page.text, '<li>email is invalid</li>')
    assert.not.match(page.text, '<at home>')
  })

  test('signs in who is known by address and password', async () => {
    const [users, articles] = await counts()
    const published = expected(await send({ ...somebody('another'), ...DRAFT, email: 'grace@example.org' }), 303)
    assert.equal(await counts(), [users, Number(articles) + 1])
    const front = await example().served.request('GET', '/', { headers: { cookie: cookieOf(published) } })
    assert.match(front.text, 'You are <strong>grace</strong>')
  })

  test('is nobody’s with a cookie that is none, and refuses what another site sends', async () => {
    const { served } = example()
    const headers = { cookie: 'token=no.such.token' }
    assert.match(expected(await served.request('GET', '/', { headers }), 200).text, 'type="password"')
    const before = await counts()
    for (const origin of ['https://elsewhere.example.org', 'null', 'http://127.0.0.1:1']) {
      expected(await send({ ...somebody('eve'), ...DRAFT }, { origin }), 403)
      expected(await served.request('POST', '/sign-out', { headers: { origin } }), 403)
    }
    assert.equal(await counts(), before)
    expected(await send({ ...somebody('eve'), ...DRAFT }, { origin: served.url }), 303)
  })

  test('lets one sign out', async () => {
    const reply = expected(await example().served.request('POST', '/sign-out'), 303)
    assert.is(cookieOf(reply), 'token=')
  })

  test('is in the audit log, with what became of it', async () => {
    expected(await send({ ...somebody('eve'), ...DRAFT, fail: 'on' }), 500)
    assert.is(example().served.errors.pop()?.message, 'failed on purpose, when everything was written')
    const { text } = expected(await example().request('GET', '/audit'), 200)
    assert.match(text, '<strong>nothing</strong>')
    assert.match(text, 'what it did')
    assert.match(text, 'POST /articles')
  })
})
