import { randomUUID } from 'node:crypto'
import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export const User = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    // Made here and not by the database: a token can be signed for the user before anything was sent.
    id: p
      .uuid()
      .primary()
      .onCreate(() => randomUUID()),
    username: p.string().unique('users_username_unique'),
    email: p.string().unique('users_email_unique'),
    passwordHash: p.string().hidden(),
    bio: p.text().onCreate(() => ''),
    image: p.text().onCreate(() => ''),
    createdAt: p.datetime(3).onCreate(() => new Date()),
  },
})

export type User = InferEntity<typeof User>
