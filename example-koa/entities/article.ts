import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { ArticleTag } from './article-tag.ts'
import { Favorite } from './favorite.ts'
import { User } from './user.ts'

export const Article = defineEntity({
  name: 'Article',
  tableName: 'articles',
  properties: {
    id: p.integer().primary(),
    slug: p.string().unique(),
    title: p.text(),
    description: p.text(),
    body: p.text(),
    views: p.integer().onCreate(() => 0),
    // Counted whenever an article is read, in the same statement: a number of its own would have to be kept right by all
    // who change a favourite, and they would wait for each other at the row of a popular article.
    favoritesCount: p
      .integer()
      .formula(({ id }) => `(select cast(count(*) as integer) from favorites where article_id = ${id})`),
    // With milliseconds: PostgreSQL would round to seconds, and newest first would be a matter of luck.
    createdAt: p
      .datetime(3)
      .onCreate(() => new Date())
      .index(),
    updatedAt: p.datetime(3).onCreate(() => new Date()),
    author: () => p.manyToOne(User).index(),
    tags: () => p.oneToMany(ArticleTag).mappedBy('article').orderBy({ position: 'asc' }).orphanRemoval(),
    favorites: () => p.oneToMany(Favorite).mappedBy('article'),
  },
})

export type Article = InferEntity<typeof Article>

/** An article that was loaded without its body, as in a list. */
export type ArticleSummary = Omit<Pick<Article, Extract<keyof Article, string>>, 'body'>
