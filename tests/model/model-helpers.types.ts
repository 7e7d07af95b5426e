/** What the types of the model helpers refuse and allow; the type check is the test. */
import type { SqlEntityManager } from '@mikro-orm/sql'
import { getByColumnLower, getByColumnSimilar, getById, getByIds, getRange } from '../../source/index.ts'
import { Chapter, Novel, type NovelType, type NovelRepository } from './library-entities.ts'

export async function columns(em: SqlEntityManager): Promise<void> {
  await getByColumnLower(em, Novel, 'title', 'x')
  await getByColumnSimilar(em, Novel, 'summary', 'x', { match: 'anywhere' })
  await getByColumnSimilar(em, Novel, 'body', 'x')
  await getRange(em, Novel, { orderBy: ['title', 'writer', 'createdAt'], filters: { pages: { $gt: 1 } } })
  // @ts-expect-error no such column
  await getByColumnLower(em, Novel, 'tittle', 'x')
  // @ts-expect-error no column of text
  await getByColumnLower(em, Novel, 'pages', 'x')
  // @ts-expect-error a method
  await getByColumnSimilar(em, Chapter, 'upper', 'x')
  // @ts-expect-error of the base entity, and no column
  await getRange(em, Novel, { orderBy: 'session' })
  // @ts-expect-error a collection
  await getRange(em, Novel, { orderBy: ['title', 'writers'] })
  // @ts-expect-error no such column
  await getRange(em, Novel, { orderBy: ['title', 'tittle'] })
  // @ts-expect-error no such column
  await getRange(em, Novel, { filters: { tittle: 'x' } })
  // @ts-expect-error neither up nor down
  await getRange(em, Novel, { direction: 'up' })
  // @ts-expect-error neither prefix nor anywhere
  await getByColumnSimilar(em, Novel, 'title', 'x', { match: 'suffix' })
  // @ts-expect-error one is wanted
  await getByColumnLower(em, Novel, 'title', 'x', { limit: 2 })
}

export async function keysAndResults(em: SqlEntityManager): Promise<void> {
  await getById(em, Chapter, ['de', 1])
  // @ts-expect-error the key is a number
  await getById(em, Novel, '1')
  // @ts-expect-error the key has two columns
  await getById(em, Chapter, 'de')
  await getById(em, Novel, 'Emma', { idColumn: 'title' })
  await getByIds(em, Novel, [300, 200], { idColumn: 'pages' })
  // @ts-expect-error no such column
  await getById(em, Novel, 'Emma', { idColumn: 'tittle' })
  // @ts-expect-error the column holds numbers
  await getById(em, Novel, '300', { idColumn: 'pages' })
  // @ts-expect-error a reference, which is no value
  await getByIds(em, Novel, [1], { idColumn: 'writer' })
  // @ts-expect-error one of the keys is no number
  await getByIds(em, Novel, [1, 'two'])
  const one: NovelType | null = await getByColumnLower(em, Novel, 'title', 'x')
  const many: NovelType[] = await getByColumnLower(em, Novel, 'title', 'x', { many: true, limit: 3 })
  // @ts-expect-error it may be null
  void one.title
  void many
}

export async function repository(em: SqlEntityManager): Promise<void> {
  const novels: NovelRepository = em.getRepository(Novel)
  const found: NovelType[] = await novels.getRange({ orderBy: 'title' })
  void found
  // @ts-expect-error no such column
  await novels.getByColumnExactThenIlike('tittle', 'x')
  await novels.getById('Emma', { idColumn: 'title' })
  await novels.getByIds(['Emma'], { idColumn: 'title' })
  // @ts-expect-error the key is a number
  await novels.getById('1')
}

export function declaredTable(em: SqlEntityManager, novel: NovelType): void {
  em.create(Chapter, { language: 'de', number: 1, heading: 'x', novel: null })
  // @ts-expect-error no column
  em.create(Chapter, { language: 'de', number: 1, heading: 'x', novel: null, session: em })
  // @ts-expect-error no column
  void em.find(Novel, { request: {} })
  const session: SqlEntityManager | undefined = novel.session
  const user: unknown = novel.request?.['state'].user
  void [session, user]
  // @ts-expect-error it can only be read
  novel.session = em
}
