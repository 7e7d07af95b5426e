/** A server with one role, on SQLite, or on the PostgreSQL that DATABASE_URL names. `node server.ts` runs it. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import Koa from 'koa'
import { dbSessions, EngineRegistry, type DbSessionsContext } from 'koa-sqlassist'
import { Note } from './entities.ts'

type Engines = { writer: PostgresOrm | SqliteOrm }

const router = new Router<Koa.DefaultState, DbSessionsContext<Engines>>()

router.get('/notes', async (ctx) => {
  ctx.body = await ctx.dbSession.writer.find(Note, {}, { orderBy: { id: 'asc' } })
})

router.post('/notes', async (ctx) => {
  const { text = '' } = ctx.request.body as { text?: string }
  const note = ctx.dbSession.writer.create(Note, { text })
  // What is thrown takes everything back that the request has done.
  if (note.text === '') ctx.throw(422, 'a note needs a text')
  // Committed by dbSessions when the handler is done. To flush is needed only where the id is.
  await ctx.dbSession.writer.flush()
  ctx.status = 201
  ctx.body = note
})

async function openOrm(): Promise<Engines['writer']> {
  const url = process.env['DATABASE_URL']
  const orm =
    url === undefined
      ? await SqliteOrm.init({ dbName: process.env['DATABASE_FILE'] ?? 'notes.sqlite', entities: [Note] })
      : await PostgresOrm.init({ clientUrl: url, entities: [Note] })
  await orm.schema.update()
  return orm
}

/** Listens on `port`, or on any that is free for 0. */
export async function start(port: number) {
  const registry = new EngineRegistry<Engines>({ writer: await openOrm() })
  const app = new Koa()
  app.use(bodyParser()).use(dbSessions(registry)).use(router.routes()).use(router.allowedMethods())
  const server = app.listen(port)
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close()
      await once(server, 'close')
      await registry.close()
    },
  }
}

if (process.argv[1] === import.meta.filename) {
  const { url, close } = await start(Number(process.env['PORT'] ?? 3000))
  console.log(`listening on ${url}/notes`)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close())
}
