import Router from '@koa/router'
import { unauthorized } from '../api-error.ts'
import type { AppContext, AppState } from '../context.ts'
import { User } from '../entities/user.ts'
import { defined } from '../input/defined.ts'
import { parse } from '../input/parse.ts'
import { credentials, registration, userChanges } from '../input/user-input.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { userJson } from '../output/user-json.ts'
import { hashPassword, isPassword } from '../security/passwords.ts'
import type { Tokens } from '../security/tokens.ts'

export function userRoutes(tokens: Tokens) {
  const router = new Router<AppState, AppContext>()

  router.post('/users', async (ctx) => {
    const { username, email, password } = parse(registration, ctx.request.body, 'user')
    // Slow on purpose, and it holds nothing: the transaction begins with the first statement, not with the request.
    const passwordHash = await hashPassword(password)
    const user = ctx.dbSession.writer.create(User, { username, email, passwordHash })
    // Sent now, committed at the end: a name that is taken shall be known before anything is answered.
    await ctx.dbSession.writer.flush()
    ctx.status = 201
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  router.post('/users/login', async (ctx) => {
    const { email, password } = parse(credentials, ctx.request.body, 'user')
    const user = await ctx.dbSession.reader.findOne(User, { email })
    const matches = await isPassword(password, user?.passwordHash)
    if (!user || !matches) throw unauthorized('credentials', 'invalid')
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  router.get('/user', async (ctx) => {
    const user = signedInUser(ctx)
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  router.put('/user', async (ctx) => {
    const { password, ...changes } = parse(userChanges, ctx.request.body, 'user')
    const { writer } = ctx.dbSession
    const passwordHash = password === undefined ? undefined : await hashPassword(password)
    // What the reader loaded belongs to the reader's session: what is to be changed is loaded by the writer.
    const user = await writer.findOneOrFail(User, { id: signedInUser(ctx).id })
    writer.assign(user, defined({ ...changes, passwordHash }))
    await writer.flush()
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  return router.routes()
}
