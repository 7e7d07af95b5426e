import { bodyParser } from '@koa/bodyparser'
import Koa from 'koa'
import { dbSessions, EngineRegistry, type DbSessionsOptions } from 'koa-sqlassist'
import type { Config } from './config.ts'
import { openEngines } from './engines.ts'
import { errors } from './middleware/errors.ts'
import { securityHeaders } from './middleware/security-headers.ts'
import { apiRouter } from './routes/api.ts'
import { pageRouter } from './routes/pages.ts'
import { Tokens } from './security/tokens.ts'

/**
 * The application, ready to listen. It emits `published` with the slug of every article that was committed.
 *
 * Whether transactions are on is no business of the routes: SQLASSIST_DISABLE_TRANSACTION, or the option of dbSessions.
 */
export async function createApp(config: Config, options: DbSessionsOptions = {}) {
  const registry = new EngineRegistry(await openEngines(config))
  const api = apiRouter(new Tokens(config.tokenSecret))
  const pages = pageRouter()

  const app = new Koa()
  app.use(securityHeaders)
  app.use(errors)
  // Before the sessions: a body that arrives slowly, or cannot be read, is no part of the unit of work.
  app.use(bodyParser({ enableTypes: ['json'] }))
  app.use(dbSessions(registry, options))
  app.use(api.routes()).use(api.allowedMethods())
  app.use(pages.routes()).use(pages.allowedMethods())

  return { app, registry, close: () => registry.close() }
}
