import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { Article } from './article.ts'
import { User } from './user.ts'

export const Comment = defineEntity({
  name: 'Comment',
  tableName: 'comments',
  properties: {
    id: p.integer().primary(),
    body: p.text(),
    createdAt: p.datetime(3).onCreate(() => new Date()),
    updatedAt: p.datetime(3).onCreate(() => new Date()),
    // A deleted article takes its comments with it.
    article: () => p.manyToOne(Article).deleteRule('cascade').index(),
    author: () => p.manyToOne(User),
  },
})

export type Comment = InferEntity<typeof Comment>
