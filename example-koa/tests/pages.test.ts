import * as assert from 'uvu/assert'
import { suite } from '../../tests/support/suite.ts'
import { expected, onEveryDatabase } from './example.ts'
import { html } from '../pages/html.ts'

onEveryDatabase('pages', (test, example) => {
  const NASTY = `<script>alert("1")</script> & 'more'`
  const ESCAPED = '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;more&#39;'

  test('the front page of an empty database says so', async () => {
    const page = expected(await example().request('GET', '/'), 200)
    assert.match(page.headers['content-type'] ?? '', 'text/html')
    assert.match(page.text, 'Nothing here yet')
  })

  test('the front page shows the latest articles, escaped', async () => {
    const { request, register, publish } = example()
    const token = await register(NASTY)
    const slug = await publish(token, { title: NASTY, description: NASTY, tagList: [NASTY] })
    const { text, headers } = expected(await request('GET', '/'), 200)
    assert.match(text, `href="/article/${slug}">${ESCAPED}</a>`)
    assert.not.match(text, '<script')
    assert.match(String(headers['content-security-policy']), `default-src 'none'`)
  })

  test('the page of an article shows its text, its comments and how often it was read', async () => {
    const { request, register, publish } = example()
    const token = await register('reader')
    const slug = await publish(token, { title: NASTY, body: `first\n${NASTY}` })
    const body = { comment: { body: `I say ${NASTY}` } }
    expected(await request('POST', `/api/articles/${slug}/comments`, { token, body }), 200)
    const { text } = expected(await request('GET', `/article/${slug}`), 200)
    assert.match(text, `first\n${ESCAPED}`)
    assert.match(text, `I say ${ESCAPED}`)
    assert.match(text, '0 views')
    assert.not.match(text, '<script')
  })

  test('a page that is not there is a page that says so', async () => {
    const { request } = example()
    for (const path of ['/article/none', '/article/%00', '/nowhere']) {
      const page = expected(await request('GET', path), 404)
      assert.match(page.headers['content-type'] ?? '', 'text/html')
      assert.match(page.text, '404')
    }
  })

  test('the style sheet is one', async () => {
    const sheet = expected(await example().request('GET', '/style.css'), 200)
    assert.match(sheet.headers['content-type'] ?? '', 'text/css')
  })

  test('what is no route is answered in JSON under /api', async () => {
    const { request, served } = example()
    assert.equal(expected(await request('GET', '/api/nowhere'), 404).json(), { errors: { request: ['not found'] } })
    const patch = expected(await request('PATCH', '/api/user'), 405)
    assert.equal(patch.json(), { errors: { request: ['method not allowed'] } })
    const headers = { 'content-type': 'application/json' }
    const broken = expected(await served.request('POST', '/api/users', { headers, body: '{"user":' }), 422)
    assert.equal(broken.json(), { errors: { body: ['cannot be read'] } })
    const large = JSON.stringify({ user: { username: 'x'.repeat(2_000_000) } })
    expected(await served.request('POST', '/api/users', { headers, body: large }), 413)
    assert.equal(served.errors, [])
  })
})

const markup = suite('html')

markup('escapes values, also in lists, and leaves markup as it is', () => {
  const items = ['<', html`<b>${'&'}</b>`, 1]
  assert.is(String(html`<p title="${'"'}">${items}</p>`), '<p title="&quot;">&lt;<b>&amp;</b>1</p>')
})

markup.run()
