import type { RouteContext, RouteMiddleware } from '../context.ts'
import { User } from '../entities/user.ts'
import type { Tokens } from '../security/tokens.ts'

const COOKIE = 'token'
const LIFETIME_MS = 60 * 24 * 60 * 60 * 1000
// No script can read it, and no other site can have it sent.
const OPTIONS = { httpOnly: true, sameSite: 'strict' } as const

/** Finds out whose browser this is. Unlike a client of the API, a browser with an old cookie is nobody and not refused. */
export function cookieUser(tokens: Tokens): RouteMiddleware {
  return async function findCookieUser(ctx, next) {
    const token = ctx.cookies.get(COOKIE)
    const id = token === undefined ? undefined : await tokens.verify(token)
    const user = id === undefined ? null : await ctx.dbSession.reader.findOne(User, { id })
    if (user) ctx.state.user = user
    await next()
  }
}

export async function remember(ctx: RouteContext, tokens: Tokens, user: User): Promise<void> {
  ctx.cookies.set(COOKIE, await tokens.sign(user.id), { ...OPTIONS, maxAge: LIFETIME_MS })
}

export function forget(ctx: RouteContext): void {
  ctx.cookies.set(COOKIE, null, OPTIONS)
}
