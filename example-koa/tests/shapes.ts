/** What the specification says of its answers, to the letter: nothing may be missing, and nothing may be there besides. */
import { z } from 'zod'

const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const profile = z.strictObject({ username: z.string(), bio: z.string(), image: z.string(), following: z.boolean() })
const summary = z.strictObject({
  slug: z.string().min(1),
  title: z.string(),
  description: z.string(),
  tagList: z.array(z.string()),
  createdAt: time,
  updatedAt: time,
  favorited: z.boolean(),
  favoritesCount: z.int().min(0),
  author: profile,
})
const article = summary.extend({ body: z.string() })
const comment = z.strictObject({ id: z.int(), createdAt: time, updatedAt: time, body: z.string(), author: profile })

export const USER = z.strictObject({
  user: z.strictObject({
    email: z.string(),
    token: z.string().min(1),
    username: z.string(),
    bio: z.string(),
    image: z.string(),
  }),
})
export const PROFILE = z.strictObject({ profile })
export const ARTICLE = z.strictObject({ article })
/** Without the body of each. */
export const ARTICLES = z.strictObject({ articles: z.array(summary), articlesCount: z.int().min(0) })
export const COMMENT = z.strictObject({ comment })
export const COMMENTS = z.strictObject({ comments: z.array(comment) })
export const TAGS = z.strictObject({ tags: z.array(z.string()) })
export const ERRORS = z.strictObject({ errors: z.record(z.string(), z.array(z.string().min(1)).min(1)) })
export const NOTHING = z.undefined()
