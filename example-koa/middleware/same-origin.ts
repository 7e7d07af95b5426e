import { forbidden } from '../api-error.ts'
import type { RouteMiddleware } from '../context.ts'

/** Refuses the forms of other sites: a browser always says where a form came from. */
export const sameOrigin: RouteMiddleware = async function sameOrigin(ctx, next) {
  const origin = ctx.get('origin')
  if (origin !== '' && URL.parse(origin)?.host !== ctx.host) throw forbidden('origin')
  await next()
}
