import { z } from 'zod'

const EMPTY = "can't be empty"

/** Any text the databases can store. A NUL character is text to JSON and to SQLite, and an error to PostgreSQL. */
function storable(maximum: number) {
  return z
    .string({ error: (issue) => (issue.input == null ? EMPTY : 'must be a string') })
    .max(maximum, { error: `is too long (maximum is ${maximum} characters)`, abort: true })
    .refine((text) => !text.includes('\0') && text.isWellFormed(), 'has characters that cannot be stored')
}

/** Text that says something. It is kept as it was sent, never trimmed. */
export function required(maximum = Infinity) {
  return storable(maximum).refine((text) => text.trim() !== '', EMPTY)
}

/** Text that may be missing, null or empty; the last two clear it. */
export function clearable(maximum = Infinity) {
  return storable(maximum)
    .nullish()
    .transform((text) => text ?? (text === null ? '' : undefined))
}

/** A whole number from a query string. */
export function wholeNumber(minimum: number, fallback: number) {
  return z
    .string('must be a number')
    .regex(/^\d{1,9}$/, { error: 'must be a number', abort: true })
    .transform(Number)
    .pipe(z.number().min(minimum, `must be at least ${minimum}`))
    .default(fallback)
}
