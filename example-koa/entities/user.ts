import { randomUUID } from 'node:crypto'
import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { Follow } from './follow.ts'

export const User = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    // Made here and not by the database: a token can be signed for the user before anything was sent.
    id: p
      .uuid()
      .primary()
      .onCreate(() => randomUUID()),
    username: p.text().unique(),
    email: p.text().unique(),
    passwordHash: p.string().hidden(),
    bio: p.text().onCreate(() => ''),
    image: p.text().onCreate(() => ''),
    createdAt: p.datetime(3).onCreate(() => new Date()),
    followers: () => p.oneToMany(Follow).mappedBy('followed'),
  },
})

export type User = InferEntity<typeof User>
