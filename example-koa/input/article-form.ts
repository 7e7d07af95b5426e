import { registration } from './user-input.ts'
import { newArticle } from './article-input.ts'

export type Form = Readonly<Record<string, unknown>>

/** The form of somebody who has not signed in. */
export const firstArticle = newArticle.extend(registration.shape)

/** What a form sent, as the API would have been sent it. */
export function fromForm({ tags, body, ...fields }: Form): Form {
  return {
    ...fields,
    // A form ends its lines as a typewriter does.
    body: typeof body === 'string' ? body.replaceAll('\r\n', '\n') : body,
    tagList: typeof tags === 'string' ? tags.split(/[\s,]+/).filter((tag) => tag !== '') : tags,
  }
}
