import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { ArticleTag } from './article-tag.ts'
import { User } from './user.ts'

export const Article = defineEntity({
  name: 'Article',
  tableName: 'articles',
  properties: {
    id: p.integer().primary(),
    slug: p.string().unique('articles_slug_unique'),
    title: p.string(),
    description: p.text(),
    body: p.text(),
    views: p.integer().onCreate(() => 0),
    // With milliseconds: PostgreSQL would round to seconds, and newest first would be a matter of luck.
    createdAt: p
      .datetime(3)
      .onCreate(() => new Date())
      .index(),
    updatedAt: p.datetime(3).onCreate(() => new Date()),
    author: () => p.manyToOne(User),
    tags: () => p.oneToMany(ArticleTag).mappedBy('article').orderBy({ position: 'asc' }),
  },
})

export type Article = InferEntity<typeof Article>

/** An article that was loaded without its body, as in a list. */
export type ArticleSummary = Omit<Pick<Article, Extract<keyof Article, string>>, 'body'>
