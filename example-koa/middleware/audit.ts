import type { RouteMiddleware } from '../context.ts'
import { AuditEntry } from '../entities/audit-entry.ts'
import { toApiError } from '../to-api-error.ts'

/**
 * Writes down every attempt to change something, also the ones that came to nothing: the logger role commits by itself
 * when the request ends, even if the transaction of the other roles aborts.
 */
export const audit: RouteMiddleware = async function audit(ctx, next) {
  const entry = ctx.dbSession.logger.create(AuditEntry, { method: ctx.method, path: ctx.path })
  ctx.txn.addAfterCommitHook((committed) => {
    entry.committed = committed
  })
  try {
    await next()
    entry.status = ctx.status
  } catch (error) {
    entry.status = toApiError(error).status
    throw error
  } finally {
    entry.actor = ctx.state.user?.username
  }
}
