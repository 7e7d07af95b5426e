import * as assert from 'uvu/assert'
import { expected, onEveryDatabase } from './example.ts'

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

onEveryDatabase('articles', (test, example) => {
  let author: string
  let other: string
  test.before(async () => {
    author = await example().register('author')
    other = await example().register('other')
  })

  test('a created article is given back as it is read later', async () => {
    const { request } = example()
    const article = { title: 'How to train', description: 'Ever wonder?', body: 'Gently.', tagList: ['z', 'a', 'z'] }
    const created = expected(await request('POST', '/api/articles', { token: author, body: { article } }), 201).json()
    assert.match(created.article.slug, /^how-to-train-[a-z0-9]{6}$/)
    assert.match(created.article.createdAt, TIME)
    assert.equal(created.article.tagList, ['z', 'a'])
    assert.equal(created.article.author, { username: 'author', bio: '', image: '', following: false })
    assert.equal([created.article.favorited, created.article.favoritesCount], [false, 0])
    const read = expected(await request('GET', `/api/articles/${created.article.slug}`), 200).json()
    assert.equal(read, created)
  })

  test('articles of one title, written at the same moment, are all kept', async () => {
    const { publish } = example()
    const slugs = await Promise.all(Array.from({ length: 10 }, () => publish(author, { title: 'Same' })))
    assert.is(new Set(slugs).size, 10)
  })

  test('the list is newest first, page by page, without bodies', async () => {
    const { request, publish } = example()
    const slugs = [await publish(author), await publish(author), await publish(author)].toReversed()
    const list = async (query: string) => expected(await request('GET', `/api/articles?${query}`), 200).json()
    const first = await list('limit=2')
    const second = await list('limit=1&offset=2')
    assert.equal(
      [...first.articles, ...second.articles].map(({ slug }) => slug),
      slugs,
    )
    assert.ok(first.articlesCount >= 3)
    assert.not.ok('body' in first.articles[0])
    assert.equal((await list('limit=5&offset=999999')).articles, [])
    assert.equal((await list(`offset=${'9'.repeat(400)}`)).articles, [])
    assert.ok((await list('limit=99999999999')).articles.length >= 3)
    for (const query of ['limit=0', 'limit=x', 'limit=', 'offset=-1', 'limit=1&limit=2', 'limit=1.5']) {
      expected(await request('GET', `/api/articles?${query}`), 422)
    }
  })

  test('its author can change an article; the slug follows the title', async () => {
    const { request, publish } = example()
    const slug = await publish(author, { title: 'Old', tagList: ['kept'] })
    const put = async (path: string, article: object) =>
      expected(await request('PUT', `/api/articles/${path}`, { token: author, body: { article } }), 200).json().article
    const body = await put(slug, { body: 'New text' })
    assert.equal([body.slug, body.title, body.body], [slug, 'Old', 'New text'])
    assert.ok(body.updatedAt > body.createdAt)
    const title = await put(slug, { title: 'New' })
    assert.match(title.slug, /^new-/)
    assert.equal(title.tagList, ['kept'])
    assert.equal(expected(await request('GET', `/api/articles/${title.slug}`), 200).json().article, title)
    expected(await request('GET', `/api/articles/${slug}`), 404)
  })

  test('its tags are replaced by those that are sent, and kept when none are', async () => {
    const { request, publish, look } = example()
    const path = `/api/articles/${await publish(author, { tagList: ['a', 'b', 'c'] })}`
    const tags = async (article: object) => {
      const put = expected(await request('PUT', path, { token: author, body: { article } }), 200).json().article
      assert.equal(expected(await request('GET', path), 200).json().article, put)
      return put.tagList
    }
    assert.equal(await tags({ body: 'x' }), ['a', 'b', 'c'])
    assert.equal(await tags({ tagList: ['d', 'c', 'a', 'd'] }), ['d', 'c', 'a'])
    assert.equal(await tags({ tagList: [] }), [])
    assert.is(await look.value(`select count(*) from article_tags where name in ('b', 'd')`), 0)
    assert.equal(await tags({ tagList: ['e'] }), ['e'])
    for (const tagList of [null, 'e', [1], ['']]) {
      expected(await request('PUT', path, { token: author, body: { article: { body: 'lost', tagList } } }), 422)
    }
    assert.is(await look.value(`select count(*) from articles where body = 'lost'`), 0)
  })

  test('nobody else can change or delete it', async () => {
    const { request, publish, look } = example()
    const slug = await publish(author, { body: 'mine' })
    for (const method of ['PUT', 'DELETE']) {
      const path = `/api/articles/${slug}`
      const body = method === 'PUT' ? { article: { body: 'yours' } } : undefined
      const missing = expected(await request(method, path, { body }), 401)
      assert.equal(missing.json(), { errors: { token: ['is missing'] } })
      const reply = expected(await request(method, path, { token: other, body }), 403)
      assert.equal(reply.json(), { errors: { article: ['forbidden'] } })
    }
    assert.is(await look.value(`select count(*) from articles where body = 'mine'`), 1)
  })

  test('a deleted article takes its comments and tags with it', async () => {
    const { request, publish, look } = example()
    const slug = await publish(author, { tagList: ['gone'] })
    const path = `/api/articles/${slug}`
    expected(await request('POST', `${path}/comments`, { token: other, body: { comment: { body: 'gone' } } }), 200)
    const deleted = expected(await request('DELETE', path, { token: author }), 204)
    assert.is(deleted.text, '')
    assert.is(await look.value(`select count(*) from comments where body = 'gone'`), 0)
    assert.is(await look.value(`select count(*) from article_tags where name = 'gone'`), 0)
    expected(await request('GET', path), 404)
  })

  test('what is not there is not found, whatever it is called', async () => {
    const { request } = example()
    for (const slug of ['nothing-like-it', '%00', '%E0%A4%A', "'", 'a%2Fb', 'ÄÖ'].map((each) => encodeURI(each))) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const body = method === 'PUT' ? { article: {} } : undefined
        const reply = expected(await request(method, `/api/articles/${slug}`, { token: author, body }), 404)
        assert.equal(reply.json(), { errors: { article: ['not found'] } })
      }
    }
  })

  test('empty fields are refused and nothing is stored', async () => {
    const { request, look } = example()
    const before = await look.value('select count(*) from articles')
    const article = { title: '', description: ' ', tagList: [''] }
    const reply = expected(await request('POST', '/api/articles', { token: author, body: { article } }), 422)
    const empty = ["can't be empty"]
    assert.equal(reply.json(), { errors: { title: empty, description: empty, body: empty, tagList: empty } })
    assert.is(await look.value('select count(*) from articles'), before)
  })
})
