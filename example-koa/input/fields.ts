import { z } from 'zod'
import { isStorable } from './storable.ts'

const EMPTY = "can't be empty"

/** Any text that can be stored, or looked for. */
export function text(maximum = Infinity) {
  return z
    .string({ error: (issue) => (issue.input == null ? EMPTY : 'must be a string') })
    .max(maximum, { error: `is too long (maximum is ${maximum} characters)`, abort: true })
    .refine(isStorable, 'has characters that cannot be stored')
}

/** Text that says something. It is kept as it was sent, never trimmed. */
export function required(maximum = Infinity) {
  return text(maximum).refine((value) => value.trim() !== '', EMPTY)
}

/** Text that is unique, or looked for: PostgreSQL's indexes take 2700 bytes, and a character here is up to three. */
export function indexed() {
  return required(800)
}

/** Text that may be missing, null or empty; the last two clear it. */
export function clearable() {
  return text()
    .nullish()
    .transform((value) => value ?? (value === null ? '' : undefined))
}

/** A whole number from a query string; one above the maximum is taken for the maximum. */
export function wholeNumber({ minimum, maximum, fallback }: { minimum: number; maximum: number; fallback: number }) {
  return z
    .string('must be a number')
    .regex(/^\d+$/, { error: 'must be a number', abort: true })
    .transform((digits) => Math.min(Number(digits), maximum))
    .pipe(z.number().min(minimum, `must be at least ${minimum}`))
    .default(fallback)
}
