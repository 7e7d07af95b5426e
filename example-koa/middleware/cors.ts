import type { Middleware } from 'koa'

const METHODS = 'GET, HEAD, POST, PUT, DELETE, OPTIONS'
const HEADERS = 'Authorization, Content-Type, X-Requested-With'
const A_DAY = '86400'

/**
 * Lets a front end that lives elsewhere talk to the API, with its answers and its errors. Nothing is given away by it: who
 * somebody is says a header that only the front end itself can set, and cookies are not sent along.
 */
export const cors: Middleware = async function cors(ctx, next) {
  ctx.set('Access-Control-Allow-Origin', '*')
  if (ctx.method !== 'OPTIONS') return await next()
  ctx.set('Access-Control-Allow-Methods', METHODS)
  ctx.set('Access-Control-Allow-Headers', ctx.get('Access-Control-Request-Headers') || HEADERS)
  ctx.set('Access-Control-Max-Age', A_DAY)
  ctx.vary('Access-Control-Request-Headers')
  ctx.status = 204
}
