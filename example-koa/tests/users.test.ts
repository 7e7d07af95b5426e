import * as assert from 'uvu/assert'
import { expected, onEveryDatabase } from './example.ts'

onEveryDatabase('users', (test, example) => {
  const jake = { username: 'jake', email: 'jake@jake.jake', password: 'jakejake' }
  const registerJake = async () =>
    expected(await example().request('POST', '/api/users', { body: { user: jake } }), 201)

  test('a registered user can sign in and is who the token says', async () => {
    const { request } = example()
    const registered = (await registerJake()).json().user
    assert.equal(Object.keys(registered).toSorted(), ['bio', 'email', 'image', 'token', 'username'])
    assert.equal(
      { ...registered, token: '' },
      { username: 'jake', email: 'jake@jake.jake', bio: '', image: '', token: '' },
    )

    const { email, password } = jake
    const signedIn = expected(await request('POST', '/api/users/login', { body: { user: { email, password } } }), 200)
    const { token } = signedIn.json().user
    const current = expected(await request('GET', '/api/user', { token }), 200).json().user
    assert.is(current.username, 'jake')
  })

  test('the stored password is not the password', async () => {
    const { look } = example()
    await registerJake()
    const [user] = await look.rows(`select * from users where username = 'jake'`)
    assert.match(String(user?.['password_hash']), /^scrypt\$/)
    assert.not.match(JSON.stringify(user), 'jakejake')
  })

  test('a wrong password and an unknown address get the same answer', async () => {
    const { request } = example()
    for (const user of [
      { email: 'jake@jake.jake', password: 'wrong' },
      { email: 'nobody@jake.jake', password: 'jakejake' },
    ]) {
      const reply = expected(await request('POST', '/api/users/login', { body: { user } }), 401)
      assert.equal(reply.json(), { errors: { credentials: ['invalid'] } })
    }
  })

  test('a missing token and a bad one are told apart', async () => {
    const { request, served } = example()
    const missing = expected(await request('GET', '/api/user'), 401)
    assert.equal(missing.json(), { errors: { token: ['is missing'] } })
    for (const authorization of ['Token a.b.c', 'Token ', 'Basic amFrZTpqYWtl', 'nonsense']) {
      const bad = expected(await served.request('GET', '/api/articles', { headers: { authorization } }), 401)
      assert.equal(bad.json(), { errors: { token: ['is invalid'] } })
    }
  })

  test('everything that is wrong is named at once, and nothing is stored', async () => {
    const { request, look } = example()
    const before = await look.value('select count(*) from users')
    const reply = expected(
      await request('POST', '/api/users', { body: { user: { username: ' ', email: 'at home' } } }),
      422,
    )
    assert.equal(reply.json(), {
      errors: { username: ["can't be empty"], email: ['is invalid'], password: ["can't be empty"] },
    })
    const without = expected(await request('POST', '/api/users'), 422)
    assert.equal(Object.keys(without.json().errors), ['username', 'email', 'password'])
    assert.is(await look.value('select count(*) from users'), before)
  })

  test('any name can be had, but only once', async () => {
    const { request, register } = example()
    for (const name of [
      'feed',
      'O’Neil; drop table users --',
      '  spaces  ',
      '名前/..%2F',
      '😀',
      '"quoted"',
      '?',
      "it's ?",
    ]) {
      const token = await register(name)
      assert.is(expected(await request('GET', '/api/user', { token }), 200).json().user.username, name)
      const again = { username: name, email: 'another@example.org', password: 'x' }
      const reply = expected(await request('POST', '/api/users', { body: { user: again } }), 422)
      assert.equal(reply.json(), { errors: { username: ['has already been taken'] } })
    }
  })

  test('everything that is taken is named at once', async () => {
    const { request, register } = example()
    const token = await register('taken')
    const user = { username: 'taken', email: 'taken@example.org', password: 'x' }
    const errors = { username: ['has already been taken'], email: ['has already been taken'] }
    assert.equal(expected(await request('POST', '/api/users', { body: { user } }), 422).json(), { errors })
    const { username, email } = user
    const own = await request('PUT', '/api/user', { token, body: { user: { username, email, bio: 'Mine' } } })
    assert.is(expected(own, 200).json().user.bio, 'Mine')
  })

  test('one signs in by the own address, in whatever case, and exactly where another has it too', async () => {
    const { request } = example()
    const signIn = async (email: string, password: string) =>
      await request('POST', '/api/users/login', { body: { user: { email, password } } })
    await registerJake()
    for (const [username, email] of [
      ['lower', 'case@example.org'],
      ['upper', 'CASE@example.org'],
    ]) {
      const user = { username, email, password: username }
      expected(await request('POST', '/api/users', { body: { user } }), 201)
    }
    assert.is(expected(await signIn('case@example.org', 'lower'), 200).json().user.username, 'lower')
    assert.is(expected(await signIn('CASE@example.org', 'upper'), 200).json().user.username, 'upper')
    assert.is(expected(await signIn('JAKE@jake.JAKE', 'jakejake'), 200).json().user.username, 'jake')
    expected(await signIn('case@example.org', 'upper'), 401)
    expected(await signIn('%@jake.jake', 'jakejake'), 401)
  })

  test('text that no database can store is refused', async () => {
    const { request } = example()
    for (const username of ['nul\0', 'half a pair \ud800', 'x'.repeat(801)]) {
      const user = { username, email: 'a@example.org', password: 'x' }
      const reply = expected(await request('POST', '/api/users', { body: { user } }), 422)
      assert.equal(Object.keys(reply.json().errors), ['username'])
    }
  })

  test('a user can be changed, field by field', async () => {
    const { request, register, look } = example()
    const token = await register('plain')
    const put = async (user: object) =>
      expected(await request('PUT', '/api/user', { token, body: { user } }), 200).json().user
    assert.is((await put({ bio: 'I write' })).bio, 'I write')
    assert.is((await put({ image: 'https://example.org/i.png' })).bio, 'I write')
    assert.is((await put({ bio: null })).bio, '')
    assert.is((await put({ username: 'fancy', password: 'new secret' })).username, 'fancy')
    assert.is(await look.value(`select count(*) from users where username = 'fancy' and bio = ''`), 1)
    const user = { email: 'plain@example.org', password: 'new secret' }
    expected(await request('POST', '/api/users/login', { body: { user } }), 200)
  })

  test('a change to a name that is taken changes nothing', async () => {
    const { request, register, look } = example()
    await register('first')
    const token = await register('second')
    const reply = await request('PUT', '/api/user', { token, body: { user: { username: 'first', bio: 'lost' } } })
    assert.equal(expected(reply, 422).json(), { errors: { username: ['has already been taken'] } })
    assert.is(await look.value(`select count(*) from users where bio = 'lost'`), 0)
    const nothing = expected(await request('PUT', '/api/user', { token, body: { user: {} } }), 422)
    assert.equal(nothing.json(), { errors: { user: ['needs at least one field'] } })
  })
})
