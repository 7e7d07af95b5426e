import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { User } from './user.ts'

/** That a user reads whatever another one writes. The primary key allows it once. */
export const Follow = defineEntity({
  name: 'Follow',
  tableName: 'follows',
  properties: {
    follower: () => p.manyToOne(User).primary().deleteRule('cascade'),
    followed: () => p.manyToOne(User).primary().deleteRule('cascade').index(),
  },
})

export type Follow = InferEntity<typeof Follow>
