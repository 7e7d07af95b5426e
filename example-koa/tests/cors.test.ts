import * as assert from 'uvu/assert'
import { expected, onEveryDatabase } from './example.ts'

const ORIGIN = { origin: 'https://front.example.org' }

onEveryDatabase('a front end that lives elsewhere', (test, example) => {
  test('is told beforehand what it may send', async () => {
    const asked = {
      ...ORIGIN,
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'authorization,content-type,x-of-its-own',
    }
    for (const path of ['/api/user', '/api/articles/some-slug', '/api/nowhere']) {
      const { headers, text } = expected(await example().served.request('OPTIONS', path, { headers: asked }), 204)
      assert.is(headers['access-control-allow-origin'], '*')
      assert.match(String(headers['access-control-allow-methods']), /GET.*POST.*PUT.*DELETE/)
      assert.is(headers['access-control-allow-headers'], 'authorization,content-type,x-of-its-own')
      assert.is(text, '')
    }
    const { headers } = await example().served.request('OPTIONS', '/api/user', { headers: ORIGIN })
    assert.match(String(headers['access-control-allow-headers']), /Authorization, Content-Type/)
  })

  test('can read every answer, also that something went wrong', async () => {
    const { served } = example()
    for (const [method, path, status] of [
      ['GET', '/api/tags', 200],
      ['GET', '/api/user', 401],
      ['GET', '/api/articles/none', 404],
      ['GET', '/api/nowhere', 404],
      ['PATCH', '/api/user', 405],
      ['POST', '/api/users', 422],
    ] as const) {
      const { headers } = expected(await served.request(method, path, { headers: ORIGIN }), status)
      assert.is(headers['access-control-allow-origin'], '*', `${method} ${path}`)
    }
  })
})
