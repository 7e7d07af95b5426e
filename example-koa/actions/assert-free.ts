import type { SqlEntityManager } from '@mikro-orm/sql'
import { invalid, type FieldErrors } from '../api-error.ts'
import { User } from '../entities/user.ts'

const FIELDS = ['username', 'email'] as const

type Names = { readonly [Field in (typeof FIELDS)[number]]?: string | undefined }

/**
 * Throws a 422 that names everything that somebody else has, where the database would name the first only. Only the
 * database knows for certain: a name may go at this very moment, and then to-api-error.ts has the last word.
 */
export async function assertFree(em: SqlEntityManager, names: Names, ownId?: string): Promise<void> {
  const wanted = FIELDS.filter((field) => names[field] !== undefined)
  if (wanted.length === 0) return
  const holders = await em.find(
    User,
    { $or: wanted.map((field) => ({ [field]: names[field] })), ...(ownId !== undefined && { id: { $ne: ownId } }) },
    { fields: [...FIELDS] },
  )
  const taken = wanted.filter((field) => holders.some((holder) => holder[field] === names[field]))
  const errors: FieldErrors = Object.fromEntries(taken.map((field) => [field, ['has already been taken']]))
  if (taken.length > 0) throw invalid(errors)
}
