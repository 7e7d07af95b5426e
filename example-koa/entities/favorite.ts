import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { Article } from './article.ts'
import { User } from './user.ts'

/** That a user likes an article. The primary key allows it once; the article comes first in it, which counting needs. */
export const Favorite = defineEntity({
  name: 'Favorite',
  tableName: 'favorites',
  properties: {
    article: () => p.manyToOne(Article).primary().deleteRule('cascade'),
    user: () => p.manyToOne(User).primary().deleteRule('cascade').index(),
  },
})

export type Favorite = InferEntity<typeof Favorite>
