import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { Article } from './article.ts'

/** A tag of an article. The position keeps the order in which the author gave them. */
export const ArticleTag = defineEntity({
  name: 'ArticleTag',
  tableName: 'article_tags',
  properties: {
    article: () => p.manyToOne(Article).primary().deleteRule('cascade'),
    name: p.text().primary().index(),
    position: p.integer(),
  },
})

export type ArticleTag = InferEntity<typeof ArticleTag>
