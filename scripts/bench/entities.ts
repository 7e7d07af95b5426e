/** What the servers with MikroORM store. */
import { defineEntity, p } from '@mikro-orm/core'

export const Article = defineEntity({
  name: 'Article',
  properties: { id: p.integer().primary(), title: p.string(), views: p.integer() },
})

export const Note = defineEntity({
  name: 'Note',
  properties: { id: p.integer().primary(), label: p.string() },
})
