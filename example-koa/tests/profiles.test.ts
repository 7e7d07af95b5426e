import * as assert from 'uvu/assert'
import { expected, onEveryDatabase } from './example.ts'

const NAMES = [
  'Müller',
  '名前/..%2F',
  '100% real',
  "O'Neil; drop table users --",
  '😀',
  'a?b#c&d=e',
  '"q"',
  '%41',
  ' x ',
  '_',
]

onEveryDatabase('profiles', (test, example) => {
  let token: string
  test.before(async () => {
    token = await example().register('looker')
  })

  const of = (name: string, rest = '') => `/api/profiles/${encodeURIComponent(name)}${rest}`
  async function following(name: string, as?: string): Promise<boolean> {
    return expected(await example().request('GET', of(name), { token: as }), 200).json().profile.following
  }

  test('somebody is followed and left again, as often as one likes', async () => {
    const { request, register } = example()
    await register('celebrity')
    assert.is(await following('celebrity', token), false)
    for (const [method, expectation] of [
      ['POST', true],
      ['POST', true],
      ['DELETE', false],
      ['DELETE', false],
      ['POST', true],
    ] as const) {
      const { profile } = expected(await request(method, of('celebrity', '/follow'), { token }), 200).json()
      assert.equal(profile, { username: 'celebrity', bio: '', image: '', following: expectation })
      assert.is(await following('celebrity', token), expectation)
    }
    assert.is(await following('celebrity'), false)
    assert.is(await following('celebrity', await register('somebody else')), false)
    assert.is(await following('looker', token), false)
  })

  test('any name has a profile, and it is nobody else’s', async () => {
    const { request, register } = example()
    const names = [...NAMES, 'case', 'CASE', '名'.repeat(800)]
    await Promise.all(names.map((name) => register(name)))
    for (const name of names) {
      const { profile } = expected(await request('POST', of(name, '/follow'), { token }), 200).json()
      assert.is(profile.username, name)
      assert.is(await following(name, token), true)
    }
    expected(await request('DELETE', of('CASE', '/follow'), { token }), 200)
    assert.equal([await following('case', token), await following('CASE', token)], [true, false])
    const user = { username: 'x'.repeat(801), email: 'long@example.org', password: 'x' }
    expected(await request('POST', '/api/users', { body: { user } }), 422)
  })

  test('what is nobody’s name is not found', async () => {
    for (const path of ['nobody', '%00', '%E0%A4%A', 'Case', '%25', 'x'.repeat(5000)]) {
      const reply = await example().request('GET', `/api/profiles/${path}`, { token })
      assert.equal(expected(reply, 404).json(), { errors: { profile: ['not found'] } })
    }
  })

  test('one can follow oneself, which shows on one’s own articles and comments', async () => {
    const { request, register, publish } = example()
    const own = await register('narcissus')
    expected(await request('POST', of('narcissus', '/follow'), { token: own }), 200)
    const slug = await publish(own)
    const { article } = expected(await request('GET', `/api/articles/${slug}`, { token: own }), 200).json()
    assert.is(article.author.following, true)
    const body = { comment: { body: 'Well said' } }
    const reply = await request('POST', `/api/articles/${slug}/comments`, { token: own, body })
    assert.is(expected(reply, 200).json().comment.author.following, true)
  })
})
