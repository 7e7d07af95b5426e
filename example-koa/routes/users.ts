import Router from '@koa/router'
import { register } from '../actions/register.ts'
import { signIn } from '../actions/sign-in.ts'
import type { AppContext, AppState } from '../context.ts'
import { parse } from '../input/parse.ts'
import { credentials, registration } from '../input/user-input.ts'
import { userJson } from '../output/user-json.ts'
import type { Security } from '../security/security.ts'

/** What is done to get a token. */
export function userRoutes({ passwords, tokens }: Security) {
  const router = new Router<AppState, AppContext>()

  router.post('/users', async (ctx) => {
    const user = await register(ctx, passwords, parse(registration, ctx.request.body, 'user'))
    ctx.status = 201
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  router.post('/users/login', async (ctx) => {
    const user = await signIn(ctx, passwords, parse(credentials, ctx.request.body, 'user'))
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  return router.routes()
}
