import Koa from 'koa'
import { dbSessions, EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { ENTITIES, Tag } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { openOrm, type TestOrm } from '../support/orms.ts'

/** A small application over one database. */
export interface TestedApp {
  readonly registry: EngineRegistry<Record<string, EngineOptions>>
  readonly orms: readonly TestOrm[]
  readonly served: Served
  /** Stores a tag; the status. */
  post(): Promise<number>
  /** Stores a tag, and then fails; the status. */
  fail(): Promise<number>
  /** How many tags there are, over a role that only reads. */
  get(): Promise<number>
  close(): Promise<void>
}

/** `entities` has Tag among them. Closes its ORMs at its end. */
export async function openTestedApp(target: string, entities: readonly unknown[] = ENTITIES): Promise<TestedApp> {
  const open = () => openOrm(target, { config: { entities } })
  const [reader, writer] = [await open(), await open()]
  const engines: Record<string, EngineOptions> = { reader: { orm: reader, readOnly: true }, writer: { orm: writer } }
  const registry = new EngineRegistry(engines)
  const app = Object.assign(new Koa(), { silent: true })
  app.use(dbSessions(registry)).use(async (ctx) => {
    const { dbSession } = ctx
    if (ctx.method === 'GET') return void (ctx.body = String(await dbSession['reader']!.count(Tag)))
    dbSession['writer']!.create(Tag, { label: ctx.path })
    ctx.status = 201
    if (ctx.path !== '/fail') return undefined
    await dbSession['writer']!.flush()
    throw new Error('as asked for')
  })
  const served = await serve(app)
  const request = async (method: string, path: string) => {
    const answer = await served.request(method, path)
    // They would keep everything of their requests.
    ;(served.exchanges as unknown[]).length = 0
    served.errors.length = 0
    return answer
  }
  return {
    registry,
    orms: [reader, writer],
    served,
    post: async () => (await request('POST', '/tags')).status,
    fail: async () => (await request('POST', '/fail')).status,
    get: async () => Number((await request('GET', '/tags')).text),
    async close() {
      await served.close()
      await registry.close()
    },
  }
}
