import * as assert from 'uvu/assert'
import { expected, onEveryDatabase } from './example.ts'

onEveryDatabase('comments', (test, example) => {
  let author: string
  let other: string
  let path: string
  test.before(async () => {
    const { register, publish } = example()
    author = await register('author')
    other = await register('other')
    path = `/api/articles/${await publish(author)}/comments`
  })

  async function comment(token: string, body: string): Promise<Record<string, any>> {
    const reply = await example().request('POST', path, { token, body: { comment: { body } } })
    return expected(reply, 200).json().comment
  }

  async function bodies(): Promise<string[]> {
    const { comments } = expected(await example().request('GET', path), 200).json()
    return comments.map((each: { body: string }) => each.body)
  }

  test('a comment has an id, its author, and is in the list', async () => {
    const first = await comment(other, 'first')
    assert.ok(Number.isInteger(first['id']))
    assert.equal(first['author'], { username: 'other', bio: '', image: '', following: false })
    const { comments } = expected(await example().request('GET', path), 200).json()
    assert.equal(comments, [first])
    await comment(author, 'second')
    assert.equal(await bodies(), ['second', 'first'])
  })

  test('only who wrote it can delete it', async () => {
    const { request } = example()
    const { id } = await comment(other, 'mine')
    const reply = expected(await request('DELETE', `${path}/${id}`, { token: author }), 403)
    assert.equal(reply.json(), { errors: { comment: ['forbidden'] } })
    assert.ok((await bodies()).includes('mine'))
    expected(await request('DELETE', `${path}/${id}`, { token: other }), 204)
    assert.not.ok((await bodies()).includes('mine'))
  })

  test('a comment of another article is not found here', async () => {
    const { request, publish } = example()
    const { id } = await comment(other, 'here')
    const elsewhere = `/api/articles/${await publish(author)}/comments`
    for (const missing of [`${elsewhere}/${id}`, `${path}/999999`, `${path}/99999999999999999999`, `${path}/x`]) {
      const reply = expected(await request('DELETE', missing, { token: other }), 404)
      assert.equal(reply.json(), { errors: { comment: ['not found'] } })
    }
  })

  test('without an article, a token or a body there is no comment', async () => {
    const { request } = example()
    const body = { comment: { body: 'lost' } }
    expected(await request('POST', path, { body }), 401)
    expected(await request('POST', path, { token: other, body: { comment: { body: '' } } }), 422)
    for (const [method, sent] of [['GET'], ['POST', body]] as const) {
      const reply = await request(method, '/api/articles/none/comments', { token: other, body: sent })
      assert.equal(expected(reply, 404).json(), { errors: { article: ['not found'] } })
    }
  })

  test('an article that goes while it is being commented is not found', async () => {
    const { request, publish } = example()
    for (let round = 0; round < 5; round++) {
      const article = `/api/articles/${await publish(author)}`
      const body = { comment: { body: 'too late?' } }
      const replies = await Promise.all([
        ...Array.from({ length: 4 }, () => request('POST', `${article}/comments`, { token: other, body })),
        request('DELETE', article, { token: author }),
      ])
      assert.ok(
        replies.every(({ status }) => [200, 204, 404].includes(status)),
        replies.map(({ text }) => text).join(),
      )
    }
  })
})
