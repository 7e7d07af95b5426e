import type { Middleware } from 'koa'

const POLICY =
  "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/** The pages need one style sheet, and send their forms home; a browser is told that there is nothing else. */
export const securityHeaders: Middleware = async function securityHeaders(ctx, next) {
  ctx.set('Content-Security-Policy', POLICY)
  ctx.set('X-Content-Type-Options', 'nosniff')
  await next()
}
