import Router from '@koa/router'
import { assertFree } from '../actions/assert-free.ts'
import type { AppContext, AppState } from '../context.ts'
import { User } from '../entities/user.ts'
import { defined } from '../input/defined.ts'
import { parse } from '../input/parse.ts'
import { userChanges } from '../input/user-input.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { userJson } from '../output/user-json.ts'
import type { Security } from '../security/security.ts'

export function currentUserRoutes({ passwords, tokens }: Security) {
  const router = new Router<AppState, AppContext>({ prefix: '/user' })

  router.get('/', async (ctx) => {
    const user = signedInUser(ctx)
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  router.put('/', async (ctx) => {
    const { id } = signedInUser(ctx)
    const { password, ...changes } = parse(userChanges, ctx.request.body, 'user')
    const { reader, writer } = ctx.dbSession
    await assertFree(reader, changes, id)
    const passwordHash = password === undefined ? undefined : await passwords.hash(password)
    // What the reader loaded belongs to the reader's session: what is to be changed is loaded by the writer.
    const user = await writer.findOneOrFail(User, { id })
    writer.assign(user, defined({ ...changes, passwordHash }))
    await writer.flush()
    ctx.body = { user: userJson(user, await tokens.sign(user.id)) }
  })

  return router.routes()
}
