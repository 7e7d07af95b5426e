import { defineEntity, p } from '@mikro-orm/core'

export const Note = defineEntity({
  name: 'Note',
  properties: {
    id: p.integer().primary(),
    text: p.string(),
    createdAt: p.datetime().onCreate(() => new Date()),
  },
})
