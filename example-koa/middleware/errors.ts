import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import { CommitOutcomeUnknownError } from 'koa-sqlassist'
import { ApiError } from '../api-error.ts'
import { isApi } from '../is-api.ts'
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
    ctx.body = isApi(ctx) ? { errors: answer.errors } : errorPage(answer, nothingStored(ctx, error))
  }
}

function noRoute(status: number): ApiError {
  return new ApiError(status, { request: [STATUS_CODES[status]?.toLowerCase() ?? 'failed'] })
}

/** Whatever was asked for, the transaction took it back; only where the answer to its commit was lost nobody knows. */
function nothingStored({ method }: Context, error: unknown): boolean {
  return method === 'POST' && !(error instanceof CommitOutcomeUnknownError)
}
