import * as assert from 'uvu/assert'
import { expected, onEveryDatabase } from './example.ts'

onEveryDatabase('favourites', (test, example) => {
  let author: string
  let other: string
  test.before(async () => {
    author = await example().register('author')
    other = await example().register('other')
  })

  async function favorite(method: string, slug: string, token: string): Promise<[boolean, number]> {
    const reply = await example().request(method, `/api/articles/${slug}/favorite`, { token })
    return flags(expected(reply, 200).json().article)
  }
  async function read(slug: string, token?: string): Promise<[boolean, number]> {
    return flags(expected(await example().request('GET', `/api/articles/${slug}`, { token }), 200).json().article)
  }
  const flags = (article: { favorited: boolean; favoritesCount: number }): [boolean, number] => [
    article.favorited,
    article.favoritesCount,
  ]

  test('each user counts once, and sees the own', async () => {
    const slug = await example().publish(author)
    assert.equal(await favorite('POST', slug, other), [true, 1])
    assert.equal(await favorite('POST', slug, other), [true, 1])
    assert.equal(await favorite('POST', slug, author), [true, 2])
    assert.equal(
      [await read(slug), await read(slug, other)],
      [
        [false, 2],
        [true, 2],
      ],
    )
    assert.equal(await favorite('DELETE', slug, other), [false, 1])
    assert.equal(await favorite('DELETE', slug, other), [false, 1])
    assert.equal(
      [await read(slug, other), await read(slug, author)],
      [
        [false, 1],
        [true, 1],
      ],
    )
  })

  test('an article that is changed keeps them, one that is deleted takes them along', async () => {
    const { request, publish, look } = example()
    const slug = await publish(author)
    await favorite('POST', slug, other)
    const body = { article: { title: 'Renamed' } }
    const { article } = expected(await request('PUT', `/api/articles/${slug}`, { token: author, body }), 200).json()
    assert.equal(flags(article), [false, 1])
    assert.equal(await read(article.slug, other), [true, 1])
    const before = Number(await look.value('select count(*) from favorites'))
    expected(await request('DELETE', `/api/articles/${article.slug}`, { token: author }), 204)
    assert.is(await look.value('select count(*) from favorites'), before - 1)
  })
})
