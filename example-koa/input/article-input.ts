import { z } from 'zod'
import { indexed, required, text, wholeNumber } from './fields.ts'

const title = required()
const description = required()
const body = required()
// In the order in which they were given, each once.
const tagList = z
  .array(indexed(), { error: (issue) => (issue.input === null ? "can't be empty" : 'must be a list') })
  .transform((tags) => [...new Set(tags)])

export const newArticle = z.object({
  title,
  description,
  body,
  tagList: tagList.nullish().transform((tags) => tags ?? []),
})

export const articleChanges = z.object({
  title: title.optional(),
  description: description.optional(),
  body: body.optional(),
  tagList: tagList.optional(),
})

/** `?limit=20&offset=0`. More than a thousand at once are not given, whatever was asked for. */
export const paging = z.object({
  limit: wholeNumber({ minimum: 1, maximum: 1000, fallback: 20 }),
  offset: wholeNumber({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, fallback: 0 }),
})

/** The same with `?tag=`, `?author=` and `?favorited=`, which are the names of users. */
export const articleQuery = paging.extend({
  tag: text().optional(),
  author: text().optional(),
  favorited: text().optional(),
})
