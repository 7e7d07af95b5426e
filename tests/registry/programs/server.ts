/** A server on PostgreSQL that ends when it is told to: `node server.ts DATABASE_URL`. In a cluster, one of its workers. */
import { createServer } from 'node:http'
import process from 'node:process'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { dbSessions, EngineRegistry } from '../../../source/index.ts'
import { Author } from '../../support/entities.ts'
import { openOrm } from '../../support/orms.ts'

const registry = new EngineRegistry({ writer: await openOrm(process.argv[2] ?? '', { poolMax: 5 }) })
if (process.argv[3] === 'reinit') {
  await registry.run(({ dbSession }) => (dbSession.writer as any).count(Author))
  await registry.reinit()
}
const app = new Koa()
app.silent = true
app.use(dbSessions(registry))
app.use(async (ctx) => {
  const em: any = ctx.dbSession.writer
  await em.execute('select pg_sleep(0.02)')
  em.create(Author, { name: ctx.path.slice(1) })
  ctx.status = 201
  ctx.body = String(process.pid)
})
const answer = app.callback()
const server = createServer((req, res) => void answer(req, res))
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))

process.once('SIGTERM', () => {
  server.close()
  void registry.close().then(() => process.disconnect())
})
