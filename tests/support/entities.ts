/** The entities that the tests store. */
import { defineEntity, p } from '@mikro-orm/core'

export const Author = defineEntity({
  name: 'Author',
  properties: {
    id: p.integer().primary(),
    name: p.string(),
    books: () => p.oneToMany(Book).mappedBy('author'),
  },
})

export const Book = defineEntity({
  name: 'Book',
  properties: {
    id: p.integer().primary(),
    title: p.string().unique(),
    author: () => p.manyToOne(Author).nullable(),
    tags: () => p.manyToMany(Tag),
  },
})

export const Tag = defineEntity({
  name: 'Tag',
  properties: {
    id: p.integer().primary(),
    label: p.string(),
  },
})

export const ENTITIES = [Author, Book, Tag]
