import type { Context } from 'koa'
import { hasResponse } from './response-end.ts'

/** Decides after the handler and before the commit whether to abort, although nothing was thrown. */
export type CommitVeto = (ctx: Context) => boolean | Promise<boolean>

/** The default: aborts when the status is 500 or above. */
export function serverErrorVeto(ctx: Context): boolean {
  return hasResponse(ctx) && ctx.status >= 500
}

/**
 * The veto of pyramid_tm. A response header `x-tm` decides alone: any value but `commit` aborts. Without the header, a status
 * of 400 or above aborts.
 */
export function defaultCommitVeto(ctx: Context): boolean {
  if (!hasResponse(ctx)) return false
  const decision: unknown = ctx.response.headers['x-tm']
  if (decision !== undefined) return decision !== 'commit'
  return ctx.status >= 400
}
