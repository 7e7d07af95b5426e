/** Requests with something to see: several roles, many statements, the same one again and again, savepoints, errors. */
import type { Context } from 'koa'
import { Author, Book } from '../support/entities.ts'
import type { PanelWorld } from './panel-world.ts'

/** 40 statements over three roles, a savepoint that is rolled back, and an error with a cause at the end. */
export async function busyAndFailing(ctx: Context): Promise<void> {
  const { reader, writer, logger } = ctx.dbSession
  ctx.txn.setUser('ann@example.com')
  const authors = await reader.find(Author, {}, { limit: 24, orderBy: { id: 'asc' } })
  for (const { id } of authors) await reader.execute(`select count(*) as n from book where author_id = ${id}`)
  const author = await writer.findOneOrFail(Author, authors[0]!.id)
  for (let index = 0; index < 4; index++) {
    writer.create(Book, { title: `${ctx.path} volume ${index}`, author })
    await writer.flush()
  }
  const savepoint = await ctx.txn.savepoint()
  await writer.nativeUpdate(Author, { id: 2 }, { name: 'not for long' })
  await savepoint.rollback()
  await logger.insert(Author, { name: 'tried to publish' })
  await Promise.all([
    reader.find(Book, { title: { $like: '%volume%' } }),
    writer.find(Book, { author: { name: 'author 1' } }, { populate: ['author', 'tags'] }),
    logger.count(Author),
  ])
  ctx.txn.addBeforeCommitHook(function checkQuota() {})
  try {
    await writer.execute('select quota from account where owner = ? and period = ?', ['ann', '2026-11'])
  } catch (error) {
    throw new TypeError('The quota of ann@example.com could not be read', { cause: error })
  }
}

/** A GET that takes the author of a book away, and so writes. */
export async function changesByReading(ctx: Context): Promise<void> {
  const { writer } = ctx.dbSession
  const author = await writer.findOneOrFail(Author, 1)
  const book = writer.create(Book, { title: 'kept', author })
  await writer.flush()
  book.author = null
  ctx.body = book.title
}

export async function publishes(ctx: Context): Promise<void> {
  const { reader, writer } = ctx.dbSession
  await reader.findOne(Author, 1)
  await ctx.txn.savepoint()
  writer.create(Book, { title: `Published ${ctx.querystring}`, author: writer.getReference(Author, 1) })
  ctx.txn.addAfterCommitHook(function sendMail() {})
  ctx.body = '<!doctype html><title>Published</title><body><h1>Published</h1></body>'
}

/** A working day of an application. */
export async function workingDay({ registry, server, answer }: PanelWorld): Promise<void> {
  const send = async (method: string, path: string, handler: (ctx: Context) => unknown): Promise<void> => {
    answer(handler)
    await server.request(method, path)
  }
  await send('GET', '/authors', async (ctx) => (ctx.body = await ctx.dbSession.reader.find(Author, {})))
  await send('GET', '/health', (ctx) => (ctx.body = 'ok'))
  await registry.run(
    async function nightlyReport({ dbSession, tm }) {
      await dbSession['writer']!.count(Book)
      await dbSession['logger']!.insert(Author, { name: 'report' })
      if (tm.attempt < 2) throw Object.assign(new Error('deadlock detected'), { code: '40P01' })
    },
    { attempts: 3 },
  )
  await send('POST', '/articles?draft=no', publishes)
  await send('DELETE', '/articles/17', async (ctx) => {
    await ctx.dbSession.writer.nativeDelete(Book, { id: 17 })
    ctx.txn.doom()
    ctx.status = 409
  })
  await send('PUT', '/articles/9', async (ctx) => {
    await ctx.dbSession.writer.find(Book, {})
    ctx.status = 503
  })
  await send('POST', '/articles/publish-everything-of-the-week', busyAndFailing)
}
