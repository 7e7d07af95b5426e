import { z } from 'zod'
import { required, wholeNumber } from './fields.ts'

const title = required(255)
const description = required()
const body = required()

export const newArticle = z.object({
  title,
  description,
  body,
  tagList: z
    .array(required(255), 'must be a list')
    .transform((tags) => [...new Set(tags)])
    .nullish()
    .transform((tags) => tags ?? []),
})

export const articleChanges = z.object({
  title: title.optional(),
  description: description.optional(),
  body: body.optional(),
})

const MOST_AT_ONCE = 100

/** `?limit=20&offset=0`. More than a hundred at once are not given, whatever was asked for. */
export const paging = z.object({
  limit: wholeNumber(1, 20).transform((limit) => Math.min(limit, MOST_AT_ONCE)),
  offset: wholeNumber(0, 0),
})
