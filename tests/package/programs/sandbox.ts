/**
 * An application and its tests in a sandbox, as a stranger writes them. Prints as JSON what each test has seen, and how many
 * rows a connection outside of the sandbox finds in the middle of it and at its end. DATABASE and LOGS are urls of PostgreSQL or paths
 * of SQLite files.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { defineEntity, MikroORM as SqliteOrm, p } from '@mikro-orm/sqlite'
import Koa, { type Context } from 'koa'
import { dbSessions, EngineRegistry } from 'koa-sqlassist'
import { createSandbox } from 'koa-sqlassist/testing'

const { DATABASE: database = '', LOGS: logs = '' } = process.env
const isPostgres = database.startsWith('postgres')

const Article = defineEntity({
  name: 'Article',
  properties: { id: p.integer().primary(), title: p.string().unique() },
})
const LogEntry = defineEntity({ name: 'LogEntry', properties: { id: p.integer().primary(), text: p.string() } })
const Review = defineEntity({
  name: 'Review',
  properties: { id: p.integer().primary(), article: () => p.manyToOne(Article).deferMode('deferred') },
})

async function open(target: string) {
  const options = { entities: [Article, LogEntry, Review] }
  return isPostgres
    ? await PostgresOrm.init({ ...options, clientUrl: target })
    : await SqliteOrm.init({ ...options, dbName: target })
}

const outside = { main: await open(database), logs: await open(logs) }
await outside.main.schema.update()
await outside.logs.schema.update()

const registry = new EngineRegistry({
  reader: { orm: await open(database), readOnly: true },
  writer: await open(database),
  logger: { orm: await open(logs), commit: 'autonomous' },
})
const hooks: boolean[] = []
const warnings: unknown[] = []
process.on('warning', (warning) => warnings.push((warning as NodeJS.ErrnoException).code))

const HANDLERS: Readonly<Record<string, (ctx: Context) => Promise<unknown>>> = {
  async '/create'({ dbSession: { writer } }) {
    writer.create(Article, { title: 'created' })
  },
  async '/commit-early'({ dbSession: { writer }, txn }) {
    writer.create(Article, { title: 'early' })
    await txn.commit()
    throw new Error('as asked for')
  },
  async '/run-inside'({ dbSession: { writer } }) {
    // SQLite has one writer at a time.
    if (isPostgres) await writer.insert(Article, { title: 'outer' })
    await registry.run(({ dbSession: inner }) => void inner.writer.create(Article, { title: 'inner' }))
    writer.create(Article, { title: 'outer too' })
    await writer.flush()
    throw new Error('as asked for')
  },
  async '/log'({ dbSession: { writer, logger } }) {
    writer.create(Article, { title: 'gone' })
    await writer.flush()
    logger.create(LogEntry, { text: 'kept' })
    await logger.flush()
    throw new Error('as asked for')
  },
  async '/hook'({ dbSession: { writer }, txn }) {
    txn.addAfterCommitHook((isCommitted: boolean) => void hooks.push(isCommitted))
    writer.create(Article, { title: 'hooked' })
  },
  async '/read-what-was-flushed'({ dbSession: { reader, writer } }) {
    writer.create(Article, { title: 'flushed' })
    await writer.flush()
    return await reader.count(Article)
  },
  async '/review-nothing'({ dbSession: { writer } }) {
    await writer.insert(Review, { article: 999 })
  },
  async '/review-first'({ dbSession: { writer } }) {
    await writer.insert(Review, { article: 999 })
    await writer.insert(Article, { id: 999, title: 'reviewed' })
  },
  async '/stored'({ dbSession: { reader, logger } }) {
    const articles = await reader.findAll(Article, { orderBy: { title: 'asc' } })
    const entries = await logger.findAll(LogEntry)
    return [articles.map(({ title }: { title: string }) => title), entries.map(({ text }: { text: string }) => text)]
  },
}

const app = new Koa()
app.silent = true
app.use(dbSessions(registry))
app.use(async (ctx) => {
  ctx.body = JSON.stringify((await HANDLERS[ctx.path]?.(ctx)) ?? null)
})
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo

async function request(path: string): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })
  return answer.ok ? await answer.json() : (await answer.text(), answer.status)
}

const TESTS: Readonly<Record<string, () => Promise<unknown>>> = {
  'early commit': async () => [await request('/commit-early'), await request('/stored')],
  'inner run': async () => [await request('/run-inside'), await request('/stored')],
  'log entry': async () => [await request('/log'), await request('/stored')],
  hook: async () => [await request('/hook'), hooks],
  'later request': async () => [await request('/create'), await request('/stored')],
  'read ahead': async () => [await request('/read-what-was-flushed'), warnings],
  'deferred constraint': async () => [
    await request('/review-nothing'),
    await request('/review-first'),
    await request('/stored'),
  ],
}

async function rowsOutside(): Promise<number> {
  const { main, logs: other } = outside
  const counts = [main.em.fork().count(Article), main.em.fork().count(Review), other.em.fork().count(LogEntry)]
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

const sandbox = await createSandbox(registry)
const found: Record<string, unknown> = {}
for (const [name, test] of Object.entries(TESTS)) {
  await sandbox.begin()
  const seen = await test()
  const during = await rowsOutside()
  await sandbox.rollback()
  found[name] = { seen, during, after: await rowsOutside() }
}
process.stdout.write(JSON.stringify(found))

await sandbox.close()
server.close()
await registry.close()
for (const orm of Object.values(outside)) await orm.close()
