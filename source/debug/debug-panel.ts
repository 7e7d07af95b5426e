import process from 'node:process'
import type { Context, Middleware } from 'koa'
import { EngineRegistry } from '../registry/engine-registry.ts'
import { ConfigurationError } from '../role/errors.ts'
import { refusal } from './access.ts'
import { resolveDebugPanelOptions, type DebugPanelOptions } from './debug-panel-options.ts'
import { addLink } from './link.ts'
import { LiveEvents } from './live-events.ts'
import { PanelRoutes } from './panel-routes.ts'
import { html } from './pages/html.ts'
import { duration, plural } from './pages/format.ts'
import type { RecordedRequest } from './record.ts'
import { Recorder } from './recorder.ts'
import { serverTiming } from './server-timing.ts'
import { totalsOf } from './totals.ts'

/** The middleware of the panel, with a method to stop recording. */
export interface DebugPanel extends Middleware<any, any> {
  /**
   * Stops recording and ends live pages; the records can still be looked at. The registry's own `close()` has the same
   * effect.
   */
  close(): void
}

type Next = () => Promise<unknown>

/**
 * A page for developers at `/_sqlassist`, which shows the latest requests and runs of a registry as they come: roles,
 * statements, transactions, and why they ended as they did. Mount it above `dbSessions`:
 *
 * ```ts
 * const registry = new EngineRegistry(engines)
 * if (process.env.NODE_ENV !== 'production') app.use(debugPanel(registry))
 * app.use(dbSessions(registry))
 * ```
 *
 * The panel answers to this machine only, under local host names. Its readers also get a link at the end of each HTML page
 * that is a whole text (not a stream), and a `Server-Timing` header with the time in the databases (`db`) and of the commit,
 * both in milliseconds.
 *
 * Records are kept in memory, bounded by the options, and end with the process.
 *
 * @throws ConfigurationError, at once, for options that cannot work, and where NODE_ENV is `production` without
 *   `allowInProduction`
 */
export function debugPanel(registry: EngineRegistry<any, any>, options: DebugPanelOptions = {}): DebugPanel {
  if (!(registry instanceof EngineRegistry)) {
    throw new ConfigurationError(
      'debugPanel takes the EngineRegistry that dbSessions was given. Make one, const registry = new EngineRegistry(engines), ' +
        'and give it to both.',
    )
  }
  const resolved = resolveDebugPanelOptions(options, process.env['NODE_ENV'])
  const recorder = new Recorder(registry, resolved, close)
  const events = new LiveEvents(recorder.log)
  let isOpen = true
  const routes = new PanelRoutes(registry, recorder.log, events, () => isOpen)

  function close(): void {
    isOpen = false
    recorder.close()
    events.close()
  }

  async function debugPanelMiddleware(ctx: Context, next: Next): Promise<void> {
    const { path } = resolved
    if (ctx.path === path || ctx.path.startsWith(`${path}/`)) {
      const refused = refusal(ctx.req, resolved)
      if (refused === undefined) return await routes.answer(ctx, mountPath(ctx) + path, ctx.path.slice(path.length))
      ctx.status = 403
      ctx.type = 'text/plain'
      ctx.body = refused
      return
    }
    recorder.arrived(ctx)
    await next()
    const request = recorder.requestOf(ctx)
    if (request !== undefined && refusal(ctx.req, resolved) === undefined) adorn(ctx, mountPath(ctx) + path, request)
  }
  return Object.assign(debugPanelMiddleware, { close })
}

/** Adds the link and the `Server-Timing` header to the application's response. */
function adorn(ctx: Context, base: string, request: RecordedRequest): void {
  if (ctx.headerSent || ctx.respond === false) return
  ctx.append('Server-Timing', serverTiming(request))
  addLink(ctx, linkTo(request, base))
}

function linkTo(request: RecordedRequest, base: string): string {
  const { statements, databaseMs } = totalsOf(request)
  const text = `sqlassist: ${plural(statements, 'statement')}, ${duration(databaseMs)}`
  return html`<small><a href="${base}/requests/${request.id}">${text}</a></small>`.text
}

/** The part of the path that a mount above has removed, as koa-mount does. */
function mountPath({ originalUrl, path }: Context): string {
  const original = originalUrl.replace(/\?.*/s, '')
  const mounted = path === '/' ? original.replace(/\/$/, '') : original.slice(0, -path.length)
  return original.endsWith(path) || path === '/' ? plainPath(mounted) : ''
}

/** Returns '' for a path that a browser could take for another host. */
function plainPath(path: string): string {
  return /^(?:\/[\w.~-]+)*$/.test(path) ? path : ''
}
