import Router from '@koa/router'
import Koa from 'koa'
import { dbSessions, EngineRegistry, type DbSessionsOptions } from 'koa-sqlassist'
import { debugPanel } from 'koa-sqlassist/debug'
import type { Config } from './config.ts'
import type { AppContext, AppState } from './context.ts'
import { openEngines } from './engines.ts'
import { cors } from './middleware/cors.ts'
import { errors } from './middleware/errors.ts'
import { readBody } from './middleware/read-body.ts'
import { securityHeaders } from './middleware/security-headers.ts'
import { apiRouter } from './routes/api.ts'
import { pageRouter } from './routes/pages.ts'
import { Passwords } from './security/passwords.ts'
import { Tokens } from './security/tokens.ts'

/**
 * The application, ready to listen. It emits `published` with the slug of every article that was committed.
 *
 * Whether transactions are on is no business of the routes: SQLASSIST_DISABLE_TRANSACTION, or the option of dbSessions.
 */
export async function createApp(config: Config, options: DbSessionsOptions = {}) {
  const registry = new EngineRegistry(await openEngines(config))
  const security = { passwords: new Passwords(config.passwordCost), tokens: new Tokens(config.tokenSecret) }
  const router = new Router<AppState, AppContext>()
  router.use(apiRouter(security).routes(), pageRouter(security).routes())

  const panel = config.debugPanel === true ? debugPanel(registry) : undefined

  const app = new Koa()
  // Above everything, so that it also shows what the client got in the end.
  if (panel) app.use(panel)
  app.use(cors)
  app.use(securityHeaders)
  app.use(errors)
  // Before the sessions: a body that arrives slowly, or cannot be read, is no part of the unit of work.
  app.use(readBody)
  // What stands in third place may be run again, all of it in new sessions: where two requests stood in each other's way
  // and the database sacrificed one of them, its client never knows.
  app.use(dbSessions(registry, { attempts: 3, ...options }, router.routes()))
  app.use(router.allowedMethods())

  return { app, registry, panel, close: () => registry.close() }
}
