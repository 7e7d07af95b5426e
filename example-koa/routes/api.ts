import Router from '@koa/router'
import type { AppContext, AppState } from '../context.ts'
import { audit } from '../middleware/audit.ts'
import { authenticate } from '../middleware/authenticate.ts'
import { dryRun } from '../middleware/dry-run.ts'
import { onChanges } from '../middleware/on-changes.ts'
import type { Security } from '../security/security.ts'
import { articleListRoutes } from './article-lists.ts'
import { articleRoutes } from './articles.ts'
import { commentRoutes } from './comments.ts'
import { currentUserRoutes } from './current-user.ts'
import { favoriteRoutes } from './favorites.ts'
import { profileRoutes } from './profiles.ts'
import { tagRoutes } from './tags.ts'
import { userRoutes } from './users.ts'

/** The routes of the RealWorld specification. */
export function apiRouter(security: Security): Router<AppState, AppContext> {
  const router = new Router<AppState, AppContext>({ prefix: '/api' })
  router.use(onChanges(audit), onChanges(dryRun))
  // Before the token is looked at: with one that is out of date anybody must still be able to get a new one.
  router.use(userRoutes(security), tagRoutes())
  router.use(authenticate(security.tokens))
  router.use(currentUserRoutes(security), profileRoutes())
  // The lists first: `feed` is no slug.
  router.use(articleListRoutes(), articleRoutes(), favoriteRoutes(), commentRoutes())
  return router
}
