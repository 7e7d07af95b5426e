import * as assert from 'uvu/assert'
import { expected, onEveryDatabase } from './example.ts'

onEveryDatabase('lists', (test, example) => {
  let ada: string
  let bob: string
  let looker: string
  test.before(async () => {
    const { register, publish, request } = example()
    ada = await register('ada & co')
    bob = await register('Bob')
    looker = await register('looker')
    const first = await publish(ada, { title: 'first', tagList: ['common', 'a b'] })
    await publish(bob, { title: 'second', tagList: ['common'] })
    const third = await publish(ada, { title: 'third', tagList: ['100%', 'common'] })
    for (const slug of [first, third])
      expected(await request('POST', `/api/articles/${slug}/favorite`, { token: bob }), 200)
    const path = `/api/profiles/${encodeURIComponent('ada & co')}/follow`
    expected(await request('POST', path, { token: looker }), 200)
  })

  async function list(query: Record<string, string | number>, token?: string, path = '/api/articles'): Promise<any> {
    const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    return expected(await example().request('GET', `${path}?${parameters.join('&')}`, { token }), 200).json()
  }
  async function titles(...request: Parameters<typeof list>): Promise<string[]> {
    const { articles } = await list(...request)
    return articles.map(({ title }: { title: string }) => title)
  }

  test('are filtered by tag, author and favourite, one by one and together', async () => {
    assert.equal(await titles({}), ['third', 'second', 'first'])
    assert.equal(await titles({ tag: 'common' }), ['third', 'second', 'first'])
    assert.equal(await titles({ tag: 'a b' }), ['first'])
    assert.equal(await titles({ tag: '100%' }), ['third'])
    assert.equal(await titles({ author: 'ada & co' }), ['third', 'first'])
    assert.equal(await titles({ favorited: 'Bob' }), ['third', 'first'])
    assert.equal(await titles({ tag: 'common', author: 'ada & co', favorited: 'Bob', limit: 1, offset: 1 }), ['first'])
    for (const nothing of [
      { tag: '%' },
      { tag: '' },
      { author: 'bob' },
      { author: "' or 1=1 --" },
      { favorited: 'ada' },
    ]) {
      assert.equal(await list(nothing), { articles: [], articlesCount: 0 })
    }
  })

  test('count all there are, and give the part that was asked for', async () => {
    const page = await list({ author: 'ada & co', limit: 1 })
    assert.equal([page.articles.length, page.articlesCount], [1, 2])
    assert.equal(await titles({ limit: 1, offset: 1 }), ['second'])
  })

  test('show an article with all of its tags in order, and as the one who looks sees it', async () => {
    const [filtered] = (await list({ tag: 'common', limit: 1 })).articles
    assert.equal(filtered.tagList, ['common', '100%'], 'what was asked for comes first')
    const [article] = (await list({ limit: 1 }, bob)).articles
    assert.equal(article.tagList, ['100%', 'common'])
    assert.equal([article.favorited, article.favoritesCount, article.author.following], [true, 1, false])
    const [seen] = (await list({ limit: 1 }, looker)).articles
    assert.equal([seen.favorited, seen.favoritesCount, seen.author.following], [false, 1, true])
    const [unsigned] = (await list({ limit: 1 })).articles
    assert.equal([unsigned.favorited, unsigned.favoritesCount, unsigned.author.following], [false, 1, false])
  })

  test('the feed has what the followed have written, and nothing else', async () => {
    const feed = '/api/articles/feed'
    assert.equal(await titles({}, looker, feed), ['third', 'first'])
    assert.equal(await titles({ limit: 1, offset: 1 }, looker, feed), ['first'])
    assert.is((await list({ limit: 1 }, looker, feed)).articlesCount, 2)
    assert.equal(await list({}, bob, feed), { articles: [], articlesCount: 0 })
    const { articles } = await list({}, looker, feed)
    assert.ok(articles.every(({ author }: any) => author.following === true && author.username === 'ada & co'))
  })

  test('the tags are those in use, the most used first', async () => {
    const { request, publish } = example()
    const tags = async () => expected(await request('GET', '/api/tags'), 200).json().tags
    assert.equal(await tags(), ['common', '100%', 'a b'])
    const slug = await publish(bob, { tagList: ['passing', 'a b'] })
    assert.equal(await tags(), ['common', 'a b', '100%', 'passing'])
    expected(await request('DELETE', `/api/articles/${slug}`, { token: bob }), 204)
    assert.equal(await tags(), ['common', '100%', 'a b'])
  })

  test('the comments show whom the one who looks follows', async () => {
    const { request, publish } = example()
    const path = `/api/articles/${await publish(bob)}/comments`
    for (const token of [ada, bob])
      expected(await request('POST', path, { token, body: { comment: { body: 'x' } } }), 200)
    const { comments } = expected(await request('GET', path, { token: looker }), 200).json()
    assert.equal(
      comments.map(({ author }: any) => [author.username, author.following]),
      [
        ['Bob', false],
        ['ada & co', true],
      ],
    )
  })
})
