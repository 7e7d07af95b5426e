import { STATUS_CODES } from 'node:http'
import type { Middleware } from 'koa'
import { ApiError } from '../api-error.ts'
import { errorPage } from '../pages/error-page.ts'
import { toApiError } from '../to-api-error.ts'

/**
 * Answers every error: JSON under /api, a page elsewhere, and never more than the client should know.
 *
 * It stands outside of dbSessions. So the error has already aborted the transaction when it arrives here,
 * and a commit that fails when the route is long done is answered as well.
 */
export const errors: Middleware = async function errors(ctx, next) {
  try {
    await next()
    if (ctx.status >= 400 && ctx.body == null) throw noRoute(ctx.status)
  } catch (error) {
    const answer = toApiError(error)
    if (answer.status >= 500) ctx.app.emit('error', error, ctx)
    ctx.status = answer.status
    ctx.body = ctx.path.startsWith('/api/') ? { errors: answer.errors } : errorPage(answer.status)
  }
}

function noRoute(status: number): ApiError {
  return new ApiError(status, { request: [STATUS_CODES[status]?.toLowerCase() ?? 'failed'] })
}
