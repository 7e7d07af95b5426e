import type { Context } from 'koa'

/** Whether a request is meant for the API, and not for a page. */
export function isApi({ path }: Pick<Context, 'path'>): boolean {
  return path === '/api' || path.startsWith('/api/')
}
