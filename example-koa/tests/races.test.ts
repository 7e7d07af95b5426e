/** Transactions that are under way at the same time, which is what a sandbox does not have. */
import * as assert from 'uvu/assert'
import type { Reply } from '../../tests/support/http.ts'
import { expected, onEveryDatabase } from './example.ts'

onEveryDatabase(
  'many at once',
  (test, example, disableTransaction) => {
    const AT_ONCE = disableTransaction ? 10 : 50
    let author: string
    let users: string[]
    test.before(async () => {
      const { register } = example()
      author = await register('author')
      users = await Promise.all(Array.from({ length: 5 }, (_, index) => register(`user${index}`)))
    })
    test.after.each(() => {
      assert.equal(example().served.errors, [])
    })

    const user = (index: number): string => users[index % users.length]!
    async function atOnce(request: (index: number) => Promise<Reply>): Promise<Reply[]> {
      return await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => request(index)))
    }
    function statuses(replies: readonly Reply[]): Record<number, number> {
      const groups = Object.groupBy(replies, ({ status }) => status)
      return Object.fromEntries(Object.entries(groups).map(([status, group]) => [status, group!.length]))
    }

    test('favourites of one user count once', async () => {
      const { request, publish, look } = example()
      const slug = await publish(author)
      const replies = await atOnce(() => request('POST', `/api/articles/${slug}/favorite`, { token: user(0) }))
      assert.equal(statuses(replies), { 200: AT_ONCE })
      for (const reply of replies) {
        const { favorited, favoritesCount } = reply.json().article
        assert.equal([favorited, favoritesCount], [true, 1])
      }
      assert.is(await look.value('select count(*) from favorites'), 1)
    })

    test('favourites of several users are all counted', async () => {
      const { request, publish } = example()
      const slug = await publish(author)
      const path = `/api/articles/${slug}`
      const replies = await atOnce((index) => request('POST', `${path}/favorite`, { token: user(index) }))
      assert.equal(statuses(replies), { 200: AT_ONCE })
      assert.ok(replies.every((reply) => reply.json().article.favorited))
      assert.is(expected(await request('GET', path), 200).json().article.favoritesCount, users.length)
    })

    test('favourites given and taken back leave each user with the one or the other, and every answer is true', async () => {
      const { request, publish, look } = example()
      const path = `/api/articles/${await publish(author)}`
      const method = (index: number): string => (index % 2 === 0 ? 'POST' : 'DELETE')
      // One user after all, so that the answers differ from those of others.
      const replies = await atOnce((index) => request(method(index), `${path}/favorite`, { token: user(0) }))
      assert.equal(statuses(replies), { 200: AT_ONCE })
      for (const [index, reply] of replies.entries()) {
        const { favorited, favoritesCount } = reply.json().article
        const given = method(index) === 'POST'
        assert.equal([favorited, favoritesCount], [given, given ? 1 : 0])
      }
      const mixed = await atOnce((index) => request(method(index), `${path}/favorite`, { token: user(index) }))
      assert.equal(statuses(mixed), { 200: AT_ONCE })
      const { favoritesCount } = expected(await request('GET', path), 200).json().article
      const stored = await look.value(
        `select count(*) from favorites where article_id = (select id from articles where slug = '${path.split('/').at(-1)}')`,
      )
      assert.is(favoritesCount, stored)
      const own = await Promise.all(users.map(async (token) => (await request('GET', path, { token })).json().article))
      assert.is(own.filter(({ favorited }) => favorited).length, stored)
    })

    test('follows and unfollows are each done, and every answer is true', async () => {
      const { request, look } = example()
      const followed = '/api/profiles/author/follow'
      const replies = await atOnce((index) => request('POST', followed, { token: user(index) }))
      assert.equal(statuses(replies), { 200: AT_ONCE })
      assert.is(await look.value('select count(*) from follows'), users.length)
      const mixed = await atOnce((index) => request(index % 2 === 0 ? 'POST' : 'DELETE', followed, { token: user(0) }))
      assert.equal(
        mixed.map((reply) => expected(reply, 200).json().profile.following),
        mixed.map((_, index) => index % 2 === 0),
      )
      // Everybody follows everybody, in both directions.
      const circle = await atOnce((index) =>
        request('POST', `/api/profiles/user${(index + 1 + Math.floor(index / users.length)) % users.length}/follow`, {
          token: user(index),
        }),
      )
      assert.equal(statuses(circle), { 200: AT_ONCE })
    })

    test('one name is had by one', async () => {
      const { request, look } = example()
      const replies = await atOnce((index) => {
        const registration = { username: 'wanted', email: `wanted${index}@example.org`, password: 'x' }
        return request('POST', '/api/users', { body: { user: registration } })
      })
      assert.equal(statuses(replies), { 201: 1, 422: AT_ONCE - 1 })
      const refusals = replies.filter(({ status }) => status === 422).map((reply) => reply.json())
      for (const refusal of refusals) assert.equal(refusal, { errors: { username: ['has already been taken'] } })
      assert.is(await look.value(`select count(*) from users where username = 'wanted'`), 1)
      const put = await Promise.all(
        users.map((token) => request('PUT', '/api/user', { token, body: { user: { email: 'one@example.org' } } })),
      )
      assert.equal(statuses(put), { 200: 1, 422: users.length - 1 })
    })

    test('articles of one title have a slug each', async () => {
      const { publish } = example()
      const slugs = await Promise.all(Array.from({ length: AT_ONCE }, () => publish(author, { title: 'The same' })))
      assert.is(new Set(slugs).size, AT_ONCE)
    })

    test('changes to the tags of one article leave it with the tags of one of them', async () => {
      const { request, publish } = example()
      const path = `/api/articles/${await publish(author, { tagList: ['a', 'b'] })}`
      const lists = [['a', 'b', 'c'], ['c'], [], ['b', 'a'], ['d', 'c', 'a']]
      const replies = await atOnce((index) =>
        request('PUT', path, { token: author, body: { article: { tagList: lists[index % lists.length] } } }),
      )
      assert.equal(
        replies.map((reply) => expected(reply, 200).json().article.tagList),
        replies.map((_, index) => lists[index % lists.length]),
      )
      const { tagList } = expected(await request('GET', path), 200).json().article
      assert.ok(lists.some((list) => JSON.stringify(list) === JSON.stringify(tagList)))
    })

    test('what is done to an article while it goes is done or not found, and nothing of it stays', async () => {
      const { request, publish, look } = example()
      const path = `/api/articles/${await publish(author)}`
      const attempts = [
        (token: string) => request('POST', `${path}/favorite`, { token }),
        (token: string) => request('DELETE', `${path}/favorite`, { token }),
        (token: string) => request('POST', `${path}/comments`, { token, body: { comment: { body: 'late' } } }),
        () => request('PUT', path, { token: author, body: { article: { tagList: ['late'] } } }),
        () => request('GET', `/article/${path.split('/').at(-1)}`),
      ]
      const replies = await atOnce((index) =>
        index === 6 ? request('DELETE', path, { token: author }) : attempts[index % attempts.length]!(user(index)),
      )
      assert.is(replies[6]!.status, 204)
      for (const { status, text } of replies) assert.ok([200, 204, 404].includes(status), text)
      for (const table of ['comments', 'favorites', 'article_tags']) {
        const left = `select count(*) from ${table} where article_id not in (select id from articles)`
        assert.is(await look.value(left), 0)
      }
      assert.is(await look.value(`select count(*) from article_tags where name = 'late'`), 0)
    })
  },
  { sandboxed: false },
)
