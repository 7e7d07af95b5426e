import * as assert from 'uvu/assert'
import type { z } from 'zod'
import type { Reply } from '../../tests/support/http.ts'
import { expected, onEveryDatabase } from './example.ts'
import { ARTICLE, ARTICLES, COMMENT, COMMENTS, ERRORS, NOTHING, PROFILE, TAGS, USER } from './shapes.ts'

/** Who sends a request: the author of the article, another user, somebody with a token that is none, or nobody. */
type Who = 'author' | 'other' | 'forger' | 'nobody'

/** One request: who, method, path, body, status, shape. `:slug` and `:id` stand for an article and a comment of the author's. */
type Step = readonly [Who, string, string, unknown, number, z.ZodType]

const CREDENTIALS = { email: 'author@example.org', password: "author's secret" }
const NEW_ARTICLE = { article: { title: 'A title', description: 'About', body: 'Text', tagList: ['b', 'a'] } }
const ON_ARTICLE = '/articles/:slug'

/** Every operation of the specification, done as it should be. */
const OPERATIONS: readonly Step[] = [
  ['nobody', 'POST', '/users', { user: { username: 'new', email: 'new@example.org', password: 'x' } }, 201, USER],
  ['nobody', 'POST', '/users/login', { user: CREDENTIALS }, 200, USER],
  ['author', 'GET', '/user', undefined, 200, USER],
  ['author', 'PUT', '/user', { user: { bio: 'I write' } }, 200, USER],
  ['nobody', 'GET', '/profiles/author', undefined, 200, PROFILE],
  ['other', 'GET', '/profiles/author', undefined, 200, PROFILE],
  ['other', 'POST', '/profiles/author/follow', undefined, 200, PROFILE],
  ['other', 'DELETE', '/profiles/author/follow', undefined, 200, PROFILE],
  ['other', 'GET', '/articles/feed', undefined, 200, ARTICLES],
  ['nobody', 'GET', '/articles', undefined, 200, ARTICLES],
  ['other', 'GET', '/articles?tag=a&author=author&favorited=other&limit=1&offset=0', undefined, 200, ARTICLES],
  ['author', 'POST', '/articles', NEW_ARTICLE, 201, ARTICLE],
  ['nobody', 'GET', ON_ARTICLE, undefined, 200, ARTICLE],
  ['other', 'GET', ON_ARTICLE, undefined, 200, ARTICLE],
  ['author', 'PUT', ON_ARTICLE, { article: { body: 'Other text' } }, 200, ARTICLE],
  ['nobody', 'GET', `${ON_ARTICLE}/comments`, undefined, 200, COMMENTS],
  ['other', 'GET', `${ON_ARTICLE}/comments`, undefined, 200, COMMENTS],
  ['other', 'POST', `${ON_ARTICLE}/comments`, { comment: { body: 'Well said' } }, 200, COMMENT],
  ['other', 'POST', `${ON_ARTICLE}/favorite`, undefined, 200, ARTICLE],
  ['other', 'DELETE', `${ON_ARTICLE}/favorite`, undefined, 200, ARTICLE],
  ['nobody', 'GET', '/tags', undefined, 200, TAGS],
  ['author', 'DELETE', `${ON_ARTICLE}/comments/:id`, undefined, 204, NOTHING],
  ['author', 'DELETE', ON_ARTICLE, undefined, 204, NOTHING],
]

const PROTECTED: readonly (readonly [string, string])[] = [
  ['GET', '/user'],
  ['PUT', '/user'],
  ['POST', '/profiles/author/follow'],
  ['DELETE', '/profiles/author/follow'],
  ['GET', '/articles/feed'],
  ['POST', '/articles'],
  ['PUT', ON_ARTICLE],
  ['DELETE', ON_ARTICLE],
  ['POST', `${ON_ARTICLE}/comments`],
  ['DELETE', `${ON_ARTICLE}/comments/:id`],
  ['POST', `${ON_ARTICLE}/favorite`],
  ['DELETE', `${ON_ARTICLE}/favorite`],
]

/** Where a token is taken if there is one, and refused if it is none. */
const OPTIONAL: readonly (readonly [string, string])[] = [
  ['GET', '/profiles/author'],
  ['GET', '/articles'],
  ['GET', ON_ARTICLE],
  ['GET', `${ON_ARTICLE}/comments`],
]

/** Where no token is wanted, an old one does no harm. */
const PUBLIC: readonly Step[] = [
  ['forger', 'POST', '/users', { user: { username: 'late', email: 'late@example.org', password: 'x' } }, 201, USER],
  ['forger', 'POST', '/users/login', { user: CREDENTIALS }, 200, USER],
  ['forger', 'GET', '/tags', undefined, 200, TAGS],
]

/** Somebody else's, absent, or not to be used: in this order, whatever the body is. */
const REFUSED: readonly Step[] = [
  ['other', 'PUT', ON_ARTICLE, { article: { body: 'Mine' } }, 403, ERRORS],
  ['other', 'PUT', ON_ARTICLE, { article: { body: '' } }, 403, ERRORS],
  ['other', 'DELETE', ON_ARTICLE, undefined, 403, ERRORS],
  ['other', 'DELETE', `${ON_ARTICLE}/comments/:id`, undefined, 403, ERRORS],
  ['other', 'GET', '/profiles/nobody', undefined, 404, ERRORS],
  ['other', 'POST', '/profiles/nobody/follow', undefined, 404, ERRORS],
  ['other', 'DELETE', '/profiles/nobody/follow', undefined, 404, ERRORS],
  ['other', 'GET', '/articles/none', undefined, 404, ERRORS],
  ['other', 'PUT', '/articles/none', { article: { body: '' } }, 404, ERRORS],
  ['other', 'DELETE', '/articles/none', undefined, 404, ERRORS],
  ['other', 'GET', '/articles/none/comments', undefined, 404, ERRORS],
  ['other', 'POST', '/articles/none/comments', { comment: { body: '' } }, 404, ERRORS],
  ['other', 'DELETE', '/articles/none/comments/1', undefined, 404, ERRORS],
  ['other', 'DELETE', `${ON_ARTICLE}/comments/999999`, undefined, 404, ERRORS],
  ['other', 'POST', '/articles/none/favorite', undefined, 404, ERRORS],
  ['other', 'DELETE', '/articles/none/favorite', undefined, 404, ERRORS],
  ['nobody', 'POST', '/users/login', { user: { ...CREDENTIALS, password: 'wrong' } }, 401, ERRORS],
  ['nobody', 'POST', '/users/login', { user: { email: '', password: '' } }, 422, ERRORS],
  ['nobody', 'POST', '/users', {}, 422, ERRORS],
  ['author', 'PUT', '/user', { user: {} }, 422, ERRORS],
  ['author', 'PUT', '/user', {}, 422, ERRORS],
  ['author', 'PUT', '/user', { user: { username: null } }, 422, ERRORS],
  ['author', 'POST', '/articles', { article: { title: '', description: '', body: '' } }, 422, ERRORS],
  ['author', 'POST', '/articles', { article: 'text' }, 422, ERRORS],
  ['author', 'POST', '/articles', [], 422, ERRORS],
  ['author', 'PUT', ON_ARTICLE, {}, 422, ERRORS],
  ['author', 'PUT', ON_ARTICLE, { article: { title: '' } }, 422, ERRORS],
  ['author', 'PUT', ON_ARTICLE, { article: { tagList: null } }, 422, ERRORS],
  ['author', 'POST', `${ON_ARTICLE}/comments`, { comment: { body: '' } }, 422, ERRORS],
  ['author', 'GET', '/articles/feed?limit=0', undefined, 422, ERRORS],
  ['author', 'GET', '/articles?tag=%00', undefined, 422, ERRORS],
]

onEveryDatabase('the specification', (test, example) => {
  const tokens: Record<Who, string | undefined> = { author: '', other: '', forger: 'no.such.token', nobody: undefined }
  let slug: string
  let id: number

  test.before(async () => {
    tokens.author = await example().register('author')
    tokens.other = await example().register('other')
  })
  test.before.each(async () => {
    const { publish, request } = example()
    slug = await publish(tokens.author!, { tagList: ['b', 'a'] })
    const path = `/api/articles/${slug}/comments`
    id = (await request('POST', path, { token: tokens.author, body: { comment: { body: 'Mine' } } })).json().comment.id
  })

  async function send(who: Who, method: string, path: string, body?: unknown): Promise<Reply> {
    const target = `/api${path}`.replace(':slug', slug).replace(':id', String(id))
    return await example().request(method, target, { token: tokens[who], body })
  }

  async function walk(steps: readonly Step[]): Promise<void> {
    for (const [who, method, path, body, status, shape] of steps) {
      const reply = await send(who, method, path, body)
      const { success, error } = shape.safeParse(reply.text === '' ? undefined : reply.json())
      assert.ok(
        reply.status === status && success,
        `${who}: ${method} ${path} ${JSON.stringify(body)}: ${reply.status} ${reply.text} ${error?.message}`,
      )
      if (reply.text !== '') assert.match(String(reply.headers['content-type']), /^application\/json; charset=utf-8$/)
    }
  }

  test('every operation answers with the status and the shape that the specification gives it', () => walk(OPERATIONS))

  test('what needs a token is refused without one, and with one that is none', async () => {
    for (const [method, path] of PROTECTED) {
      const missing = expected(await send('nobody', method, path), 401)
      assert.equal(missing.json(), { errors: { token: ['is missing'] } }, `${method} ${path}`)
      expected(await send('forger', method, path), 401)
    }
    for (const [method, path] of OPTIONAL) expected(await send('forger', method, path), 401)
  })

  test('what needs no token does not look at one', () => walk(PUBLIC))

  test('what cannot be done is answered by its reason', () => walk(REFUSED))

  test('a request without a body, or with JSON under another name, is as good', async () => {
    const { served } = example()
    const authorization = `Token ${tokens.other}`
    const favorite = `/api/articles/${slug}/favorite`
    for (const headers of [{ authorization, 'content-type': 'application/json' }, { authorization }]) {
      expected(await served.request('POST', favorite, { headers }), 200)
      expected(await served.request('DELETE', favorite, { headers }), 200)
    }
    const body = JSON.stringify({ comment: { body: 'Named wrongly' } })
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-8']) {
      const headers = { authorization, 'content-type': type }
      expected(await served.request('POST', `/api/articles/${slug}/comments`, { headers, body }), 200)
    }
    for (const scheme of ['Token', 'token', 'Bearer']) {
      const headers = { authorization: `${scheme} ${tokens.other}` }
      expected(await served.request('GET', '/api/user', { headers }), 200)
    }
    assert.equal(served.errors, [])
  })
})
