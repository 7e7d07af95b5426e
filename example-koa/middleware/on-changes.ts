import type { RouteMiddleware } from '../context.ts'

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** The middleware for requests that want to change something; the others pass it by, and open no session for it. */
export function onChanges(middleware: RouteMiddleware): RouteMiddleware {
  return async (ctx, next) => await (SAFE_METHODS.has(ctx.method) ? next() : middleware(ctx, next))
}
