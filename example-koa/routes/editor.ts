import Router from '@koa/router'
import { publish } from '../actions/publish.ts'
import { register, type Registration } from '../actions/register.ts'
import { signIn } from '../actions/sign-in.ts'
import type { AppContext, AppState, RouteContext } from '../context.ts'
import { User } from '../entities/user.ts'
import { firstArticle, fromForm, type Form } from '../input/article-form.ts'
import { newArticle } from '../input/article-input.ts'
import { check } from '../input/parse.ts'
import { audit } from '../middleware/audit.ts'
import { cookieUser, forget, remember } from '../middleware/cookie-user.ts'
import { sameOrigin } from '../middleware/same-origin.ts'
import type { Passwords } from '../security/passwords.ts'
import type { Security } from '../security/security.ts'

/** What the forms of the pages are sent to. */
export function editorRoutes({ passwords, tokens }: Security) {
  const router = new Router<AppState, AppContext>()

  // A user and an article, or none of them: whatever fails and however late, there is one transaction.
  router.post('/articles', audit, sameOrigin, cookieUser(tokens), async (ctx) => {
    const form = fromForm(ctx.request.body as Form)
    const { title, description, body, tagList } = check(ctx.state.user ? newArticle : firstArticle, form, 'article')
    const author = (ctx.state.user ??= await newcomer(ctx, passwords, check(firstArticle, form, 'article')))
    const article = publish(ctx, author, { title, description, body, tagList })
    if (form['fail'] !== undefined) {
      await ctx.dbSession.writer.flush()
      throw new Error('failed on purpose, when everything was written')
    }
    await remember(ctx, tokens, author)
    ctx.redirect(`/article/${article.slug}`)
    ctx.status = 303
  })

  router.post('/sign-out', sameOrigin, (ctx) => {
    forget(ctx)
    ctx.redirect('/')
    ctx.status = 303
  })

  return router.routes()
}

/** Registered, or signed in where the address is known. */
async function newcomer(ctx: RouteContext, passwords: Passwords, registration: Registration): Promise<User> {
  const { email } = registration
  const known = await ctx.dbSession.reader.findOne(User, { email }, { fields: ['id'] })
  return known ? await signIn(ctx, passwords, registration) : await register(ctx, passwords, registration)
}
