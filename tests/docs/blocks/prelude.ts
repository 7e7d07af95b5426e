/** What the code blocks of the documentation leave to the reader: imported for those that name it. */
import { rmSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import Router from '@koa/router'
import { defineEntity, MikroORM, p, type SqlEntityManager } from '@mikro-orm/sqlite'
import Koa from 'koa'
import { dbSessions, type DbSessionsContext, type EngineRegistry } from 'koa-sqlassist'
import { urlOf } from './servers.ts'

export const Article = defineEntity({
  name: 'Article',
  properties: { id: p.integer().primary(), title: p.string().unique(), views: p.integer().default(0) },
})
export const LogEntry = defineEntity({
  name: 'LogEntry',
  properties: { id: p.integer().primary(), text: p.string() },
})

const folder = mkdtempSync(join(tmpdir(), 'koa-sqlassist-docs-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const orms: MikroORM[] = []

export async function openOrm(file: string): Promise<MikroORM> {
  const orm = await MikroORM.init({ entities: [Article, LogEntry], dbName: join(folder, file) })
  await orm.schema.update()
  await orm.em.getConnection().execute('pragma journal_mode = wal')
  orms.push(orm)
  return orm
}

export const readerOrm = await openOrm('app.sqlite')
export const writerOrm = await openOrm('app.sqlite')
export const loggerOrm = await openOrm('log.sqlite')
export const billingOrm = await openOrm('billing.sqlite')

export const engines = {
  reader: { orm: readerOrm, readOnly: true },
  writer: writerOrm,
  logger: { orm: loggerOrm, commit: 'autonomous' },
} as const

type Context = DbSessionsContext<typeof engines> & {
  readonly dbSession: { readonly shop: SqlEntityManager; readonly billing: SqlEntityManager }
}
export const app = new Koa<Koa.DefaultState, Context>()
export const router = new Router<Koa.DefaultState, Context>()

/** Serves the routes over a registry; the url. */
export async function serve(registry: EngineRegistry<typeof engines>): Promise<string> {
  return await urlOf(new Koa().use(dbSessions(registry)).use(router.routes()).listen(0))
}

export const mailed: string[] = []
export function mail(text: string): void {
  mailed.push(text)
}

interface Job {
  readonly title: string
  readonly after: string | undefined
}
export const jobs: Job[] = []
export const queue = { add: (job: Job): unknown => jobs.push(job) }

export async function closeOrms(): Promise<void> {
  for (const orm of orms) await orm.close()
}
