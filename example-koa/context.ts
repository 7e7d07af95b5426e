import type { RouterContext, RouterMiddleware } from '@koa/router'
import type { DbSessionsContext } from 'koa-sqlassist'
import type { Engines } from './engines.ts'
import type { User } from './entities/user.ts'

export interface AppState {
  /** Who sent the request, where it came with a token. Belongs to the reader's session. */
  user?: User
}

/** What stands on `ctx` in every route: `dbSession.reader`, `.writer`, `.logger`, `tm` and `txn`. */
export type AppContext = DbSessionsContext<Engines>

export type RouteContext = RouterContext<AppState, AppContext>
export type RouteMiddleware = RouterMiddleware<AppState, AppContext>
