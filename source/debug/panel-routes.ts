import type { Context } from 'koa'
import type { EngineRegistry } from '../registry/engine-registry.ts'
import type { PreparedReport, RegistryReport } from '../registry/registry-report.ts'
import type { LiveEvents } from './live-events.ts'
import { CLIENT_SCRIPT } from './pages/client-script.ts'
import { enginesPart } from './pages/engines-part.ts'
import { ICON, layout, type Page } from './pages/layout.ts'
import { messagePage } from './pages/message-page.ts'
import { registryPage } from './pages/registry-part.ts'
import { requestPage } from './pages/request-page.ts'
import { requestsPage } from './pages/requests-page.ts'
import { STYLES } from './pages/styles.ts'
import { guardAnswer } from './panel-answer.ts'
import { errorText } from '../transaction/describe.ts'
import type { RequestLog } from './request-log.ts'
import { snapshot } from './snapshot.ts'
import { within } from './within.ts'

/** How long a page waits for databases that may not answer. */
const PATIENCE_MS = 1000

/** Answers requests for the panel itself. Changes nothing. */
export class PanelRoutes {
  readonly #registry: EngineRegistry
  readonly #log: RequestLog
  readonly #events: LiveEvents
  /** Asks nothing of a closed registry: it would connect again. */
  readonly #isOpen: () => boolean

  constructor(registry: EngineRegistry, log: RequestLog, events: LiveEvents, isOpen: () => boolean) {
    this.#registry = registry
    this.#log = log
    this.#events = events
    this.#isOpen = isOpen
  }

  /** `base` is the path of the panel as the browser has it, `path` what comes after it. */
  async answer(ctx: Context, base: string, path: string): Promise<void> {
    const place = { base, ...guardAnswer(ctx) }
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD')
      ctx.status = 405
      return
    }
    ctx.status = 200
    switch (path) {
      case '/panel.css':
        return send(ctx, 'text/css; charset=utf-8', STYLES)
      case '/panel.js':
        return send(ctx, 'text/javascript; charset=utf-8', CLIENT_SCRIPT)
      case '/icon.svg':
        return send(ctx, 'image/svg+xml', ICON)
      case '/events':
        return send(ctx, 'text/event-stream', ctx.method === 'HEAD' ? '' : this.#events.open(ctx.req.socket))
      case '/requests.json':
        return sendJson(ctx, { requests: this.#log.latest.map(snapshot) })
      case '/registry.json':
        return sendJson(ctx, { registry: await this.#report(), inDoubt: asJson(await this.#inDoubt()) })
    }
    const json = /^\/requests\/([\w-]+)\.json$/.exec(path)?.[1]
    const request = json === undefined ? undefined : this.#log.get(json)
    if (request !== undefined) return sendJson(ctx, snapshot(request))
    const page = await this.#page(base, path, ctx.query['live'] !== undefined)
    if (page === undefined) ctx.status = 404
    send(ctx, 'text/html; charset=utf-8', layout(place, page ?? notKept(base)))
  }

  async #page(base: string, path: string, live: boolean): Promise<Page | undefined> {
    if (path === '' || path === '/') {
      return requestsPage(base, this.#log.latest, this.#registry.names, await this.#report())
    }
    if (path === '/registry') return await this.#registryPage(base)
    const id = /^\/requests\/([\w-]+)$/.exec(path)?.[1]
    return id === undefined ? undefined : await this.#requestPage(base, id, live)
  }

  async #requestPage(base: string, id: string, live: boolean): Promise<Page | undefined> {
    const { latest } = this.#log
    const index = latest.findIndex((each) => each.id === id)
    const request = latest[index]
    if (request === undefined) return undefined
    // Databases are asked when the page is opened, not with every live event.
    const [report, inDoubt] = await Promise.all([this.#report(), live ? undefined : this.#inDoubt()])
    return requestPage({
      base,
      request,
      newer: latest[index - 1],
      older: latest[index + 1],
      roles: this.#registry.names,
      report,
      inDoubt,
      nowMs: Date.now() - request.startedAt,
    })
  }

  async #registryPage(base: string): Promise<Page> {
    const report = await this.#report()
    if (report === undefined) return messagePage(base, 'Registry', 'The registry is closed.')
    const content = registryPage(report, enginesPart(report), await this.#inDoubt())
    return { title: 'Registry', current: 'registry', follows: undefined, content }
  }

  async #report(): Promise<RegistryReport | undefined> {
    if (!this.#isOpen()) return undefined
    return await within(PATIENCE_MS, this.#registry.inspect(), undefined)
  }

  async #inDoubt(): Promise<PreparedReport[] | undefined | 'no answer'> {
    if (!this.#isOpen()) return undefined
    return await within(PATIENCE_MS, this.#registry.inDoubt(), 'no answer')
  }
}

function notKept(base: string): Page {
  return messagePage(base, 'Not found', 'There is no such page, or the request is no longer among those that are kept.')
}

function send(ctx: Context, type: string, body: unknown): void {
  ctx.set('Content-Type', type)
  ctx.body = body
}

function sendJson(ctx: Context, value: object): void {
  send(ctx, 'application/json; charset=utf-8', JSON.stringify(value))
}

function asJson(reports: PreparedReport[] | undefined | 'no answer'): unknown {
  if (!Array.isArray(reports)) return { error: reports ?? 'the registry is closed' }
  return reports.map(({ error, ...report }) => (error === undefined ? report : { ...report, error: errorText(error) }))
}
