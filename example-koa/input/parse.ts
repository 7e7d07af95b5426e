import type { z } from 'zod'
import { invalid, type FieldErrors } from '../api-error.ts'

/** What `schema` makes of `body[wrapper]`, or a 422 that names every field that is wrong. */
export function parse<Schema extends z.ZodType>(schema: Schema, body: unknown, wrapper: string): z.output<Schema> {
  const wrapped: unknown = (body as Record<string, unknown> | null | undefined)?.[wrapper]
  const values = check(schema, wrapped ?? {}, wrapper)
  if (wrapped == null) throw invalid({ [wrapper]: ["can't be empty"] })
  return values
}

/** What `schema` makes of `value`, or a 422. A problem with the whole value is reported under `name`. */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown, name: string): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw invalid(fieldErrors(result.error, name))
}

function fieldErrors(error: z.ZodError, name: string): FieldErrors {
  const errors: FieldErrors = {}
  for (const issue of error.issues) {
    const messages = (errors[String(issue.path[0] ?? name)] ??= [])
    if (!messages.includes(issue.message)) messages.push(issue.message)
  }
  return errors
}
