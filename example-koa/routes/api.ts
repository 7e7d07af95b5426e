import Router from '@koa/router'
import type { AppContext, AppState } from '../context.ts'
import { audit } from '../middleware/audit.ts'
import { authenticate } from '../middleware/authenticate.ts'
import { dryRun } from '../middleware/dry-run.ts'
import { onChanges } from '../middleware/on-changes.ts'
import type { Tokens } from '../security/tokens.ts'
import { articleRoutes } from './articles.ts'
import { commentRoutes } from './comments.ts'
import { userRoutes } from './users.ts'

/** The routes of the RealWorld specification. */
export function apiRouter(tokens: Tokens): Router<AppState, AppContext> {
  const router = new Router<AppState, AppContext>({ prefix: '/api' })
  router.use(onChanges(audit), authenticate(tokens), onChanges(dryRun))
  router.use(userRoutes(tokens), articleRoutes(), commentRoutes())
  return router
}
