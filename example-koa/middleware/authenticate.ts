import { unauthorized } from '../api-error.ts'
import type { RouteContext, RouteMiddleware } from '../context.ts'
import { User } from '../entities/user.ts'
import type { Tokens } from '../security/tokens.ts'

/** Finds out who sent the request. Without a token nobody did, with a bad one it ends here. */
export function authenticate(tokens: Tokens): RouteMiddleware {
  return async function findUser(ctx, next) {
    const header = ctx.get('authorization')
    if (header !== '') ctx.state.user = await userOf(ctx, header, tokens)
    await next()
  }
}

/** The user who sent the request, or a 401. */
export function signedInUser(ctx: RouteContext): User {
  if (!ctx.state.user) throw unauthorized('token', 'is missing')
  return ctx.state.user
}

async function userOf(ctx: RouteContext, header: string, tokens: Tokens): Promise<User> {
  const token = /^(?:Token|Bearer) +(\S+)$/i.exec(header)?.[1] ?? ''
  const id = await tokens.verify(token)
  // Looking somebody up changes nothing, so it is the reader's work: no transaction, and a replica would do.
  const user = id === undefined ? null : await ctx.dbSession.reader.findOne(User, { id })
  if (!user) throw unauthorized('token', 'is invalid')
  return user
}
