import type { RouteMiddleware } from '../context.ts'

/**
 * `?dryRun=true`: the request is answered as if it had been done, and nothing of it stays.
 *
 * A doomed transaction can only abort, whatever the route does and answers. The flush comes first, so that the database
 * has its say about what was asked: a name that is taken is a 422 in a dry run as well.
 */
export const dryRun: RouteMiddleware = async function dryRun(ctx, next) {
  await next()
  if (ctx.query['dryRun'] !== 'true') return
  await ctx.dbSession.writer.flush()
  ctx.txn.doom()
}
