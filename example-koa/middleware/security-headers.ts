import type { Middleware } from 'koa'

const POLICY = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"

/** The pages need one style sheet and nothing else; a browser is told so. */
export const securityHeaders: Middleware = async function securityHeaders(ctx, next) {
  ctx.set('Content-Security-Policy', POLICY)
  ctx.set('X-Content-Type-Options', 'nosniff')
  await next()
}
