/** An application with a debug panel, on real databases: what the tests of the panel look at. */
import Koa, { type Context } from 'koa'
import { debugPanel, type DebugPanel, type DebugPanelOptions, type RequestSnapshot } from '../../source/debug/index.ts'
import { dbSessions, EngineRegistry, type DbSessionsOptions, type EngineOptions } from '../../source/index.ts'
import { serve, type Served } from '../support/http.ts'
import { newDatabase, openOrm, type Dialect } from '../support/orms.ts'
import { secondLook } from '../support/second-look.ts'
import { until } from '../support/until.ts'

type Handler = (ctx: Context) => unknown

export interface PanelWorldOptions {
  readonly panel?: DebugPanelOptions
  readonly sessions?: DbSessionsOptions<string>
  /** Further roles, each with a database of its own. */
  readonly roles?: Readonly<Record<string, Omit<EngineOptions, 'orm'>>>
  /** Runs each request by `downstream`, so that it can be tried again. */
  readonly attempts?: number
}

export interface PanelWorld {
  readonly registry: EngineRegistry<Record<string, EngineOptions>>
  readonly panel: DebugPanel
  readonly app: Koa
  readonly server: Served
  /** What answers the requests from here on. */
  answer(handler: Handler): void
  /** What the panel has recorded, newest first. */
  recorded(): Promise<RequestSnapshot[]>
  /** Sends a request, waits until it is over for the panel too, and gives what was recorded of it. */
  record(handler: Handler, method?: string, path?: string): Promise<RequestSnapshot>
  close(): Promise<void>
}

/** `reader`, `writer` on one database, `logger` and what `roles` names on others. */
export async function openPanelWorld(dialect: Dialect, options: PanelWorldOptions = {}): Promise<PanelWorld> {
  const shared = await newDatabase(dialect, 'panel')
  const engines: Record<string, EngineOptions> = {
    reader: { orm: await openOrm(shared), readOnly: true },
    writer: { orm: await openOrm(shared) },
    logger: { orm: await openOrm(await newDatabase(dialect, 'log')), commit: 'autonomous' },
  }
  for (const [role, settings] of Object.entries(options.roles ?? {})) {
    engines[role] = { orm: await openOrm(await newDatabase(dialect, role)), ...settings }
  }
  const registry = new EngineRegistry<Record<string, EngineOptions>>(engines, { recover: false })
  const panel = debugPanel(registry, options.panel)
  const look = await secondLook(shared)
  await look.rows(
    `insert into author (id, name) values ${Array.from({ length: 30 }, (_, i) => `(${i + 1}, 'author ${i + 1}')`).join(', ')}`,
  )
  if (dialect === 'postgresql') await look.rows(`select setval('author_id_seq', 100)`)
  await look.close()

  let current: Handler = () => undefined
  const app = new Koa()
  app.use(panel)
  const { attempts, sessions } = options
  const run = async (ctx: Context): Promise<void> => void (await current(ctx))
  if (attempts === undefined) app.use(dbSessions(registry, sessions)).use(run)
  else app.use(dbSessions(registry, { ...sessions, attempts }, run))
  const server = await serve(app)
  const recorded = async (): Promise<RequestSnapshot[]> =>
    (await server.request('GET', '/_sqlassist/requests.json')).json().requests

  return {
    registry,
    panel,
    app,
    server,
    recorded,
    answer: (handler) => (current = handler),
    async record(handler, method = 'GET', path = '/') {
      current = handler
      const before = (await recorded())[0]?.id
      await server.request(method, path)
      let latest: RequestSnapshot | undefined
      await until(async () => {
        latest = (await recorded())[0]
        return latest !== undefined && latest.id !== before && latest.tookMs !== undefined
      }, 'the record of the request')
      return latest!
    },
    async close() {
      await server.close()
      await registry.close()
    },
  }
}
