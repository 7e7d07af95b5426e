import { notFound } from '../api-error.ts'
import type { RouteContext } from '../context.ts'
import { isStorable } from '../input/storable.ts'
import { isSlug } from '../slug.ts'

export function slugOf(ctx: RouteContext): string {
  const slug = ctx.params['slug']
  if (!isSlug(slug)) throw notFound('article')
  return slug
}

export function usernameOf(ctx: RouteContext): string {
  const username = ctx.params['username'] ?? ''
  if (!isStorable(username)) throw notFound('profile')
  return username
}

/** A number too large for the column is the id of no comment. */
export function commentIdOf(ctx: RouteContext): number {
  const id = ctx.params['id'] ?? ''
  if (!/^\d{1,9}$/.test(id)) throw notFound('comment')
  return Number(id)
}
