import Router from '@koa/router'
import { lockUser } from '../actions/lock-user.ts'
import { notFound } from '../api-error.ts'
import type { AppContext, AppState, RouteContext } from '../context.ts'
import { Follow } from '../entities/follow.ts'
import { User } from '../entities/user.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { followedBy } from '../output/followed-by.ts'
import { profileJson } from '../output/user-json.ts'
import { usernameOf } from './path.ts'

export function profileRoutes() {
  const router = new Router<AppState, AppContext>({ prefix: '/profiles/:username' })

  router.get('/', async (ctx) => {
    const user = await findUser(ctx)
    const followed = await followedBy(ctx.dbSession.reader, ctx.state.user, [user])
    ctx.body = { profile: profileJson(user, followed.has(user.id)) }
  })

  router.post('/follow', async (ctx) => {
    const follower = signedInUser(ctx)
    const followed = await findUser(ctx)
    const { writer } = ctx.dbSession
    await lockUser(writer, follower)
    await writer.upsert(Follow, { follower: follower.id, followed: followed.id })
    ctx.body = { profile: profileJson(followed, true) }
  })

  router.delete('/follow', async (ctx) => {
    const follower = signedInUser(ctx)
    const followed = await findUser(ctx)
    const { writer } = ctx.dbSession
    await lockUser(writer, follower)
    await writer.nativeDelete(Follow, { follower: follower.id, followed: followed.id })
    ctx.body = { profile: profileJson(followed, false) }
  })

  return router.routes()
}

async function findUser(ctx: RouteContext): Promise<User> {
  const user = await ctx.dbSession.reader.findOne(User, { username: usernameOf(ctx) })
  if (!user) throw notFound('profile')
  return user
}
