/** A program written for RequestContext, moved here by the one line that docs/coming-from-mikro-orm.md names: nobody notices. */
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import { RequestContext, wrap } from '@mikro-orm/core'
import Koa, { type Middleware } from 'koa'
import * as assert from 'uvu/assert'
import { dbSessions } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { clearTables } from '../support/authors.ts'
import { DIALECTS, type TestOrm } from '../support/orms.ts'

/** Its handlers use the global entity manager and repositories made once, as many do. */
function program(orm: TestOrm, sessions: Middleware<any, any>): Koa {
  const { em } = orm
  const [authors, books] = [em.getRepository(Author), em.getRepository(Book)]
  const router = new Router()
  router.get('/authors', async (ctx) => {
    ctx.body = await authors.findAll({ populate: ['books'], orderBy: { name: 'desc' }, limit: 20 })
  })
  router.post('/authors', async (ctx) => {
    const author = em.create(Author, ctx.request.body as { name: string })
    await em.flush()
    ctx.body = author
  })
  router.get('/books/:id', async (ctx) => {
    const book = await books.findOne(Number(ctx.params['id']), { populate: ['author', 'tags'] })
    if (book === null) ctx.throw(404, 'no such book')
    ctx.body = book
  })
  router.post('/books', async (ctx) => {
    try {
      const book = books.create(ctx.request.body as { title: string })
      await em.flush()
      ctx.body = book
    } catch (error) {
      ctx.throw(400, (error as Error).name)
    }
  })
  router.put('/books/:id', async (ctx) => {
    const book = await books.findOneOrFail(Number(ctx.params['id']))
    wrap(book).assign(ctx.request.body as { title: string })
    await em.flush()
    ctx.body = book
  })
  router.delete('/books/:id', async (ctx) => {
    em.remove(await books.findOneOrFail(Number(ctx.params['id'])))
    await em.flush()
    ctx.status = 204
  })
  router.post('/moves', async (ctx) => {
    const { from, to } = ctx.request.body as { from: number; to: number }
    ctx.body = await em.transactional(async (inner) => {
      const moved = await inner.find(Book, { author: from })
      for (const book of moved) book.author = inner.getReference(Author, to)
      return moved.length
    })
  })
  const app = new Koa()
  app.silent = true
  app.use(bodyParser())
  app.use(sessions)
  app.use(router.routes())
  app.use(router.allowedMethods())
  app.use((ctx) => {
    ctx.status = 404
    ctx.body = { message: 'no such route' }
  })
  return app
}

const REQUESTS: readonly (readonly [method: string, path: string, body?: object])[] = [
  ['POST', '/authors', { name: 'Ursula' }],
  ['POST', '/authors', { name: 'Stanisław', books: [{ title: 'Solaris' }] }],
  ['POST', '/books', { title: 'The Dispossessed', author: 1, tags: [{ label: 'utopia' }] }],
  ['POST', '/books', { title: 'Solaris' }],
  ['POST', '/books', {}],
  ['GET', '/books/1'],
  ['GET', '/books/2'],
  ['GET', '/books/99'],
  ['PUT', '/books/2', { title: 'The Lathe of Heaven', tags: [] }],
  ['PUT', '/books/2', { title: 'Solaris' }],
  ['GET', '/books/2'],
  ['POST', '/moves', { from: 1, to: 2 }],
  ['POST', '/moves', { from: 2, to: 99 }],
  ['GET', '/authors'],
  ['DELETE', '/books/1'],
  ['DELETE', '/books/1'],
  ['PATCH', '/books/1'],
  ['GET', '/nothing'],
  ['GET', '/authors'],
]

for (const dialect of DIALECTS) {
  const test = databaseSuite(`a program that was written for RequestContext, on ${dialect}`, dialect)

  test('gives the same answers to the same requests', async ({ orm, look }) => {
    const answersOf = async (sessions: Middleware<any, any>): Promise<string[]> => {
      await clearTables(look)
      await orm.schema.refresh()
      const served = await serve(program(orm, sessions))
      const answers: string[] = []
      for (const [method, path, body] of REQUESTS) {
        const { status, text } = await served.request(method, path, { body })
        answers.push(`${method} ${path}: ${status} ${text}`)
      }
      await served.close()
      return answers
    }
    const before = await answersOf((_ctx, next) => RequestContext.create(orm.em, next))
    const after = await answersOf(dbSessions({ writer: orm }))
    assert.equal(after, before)
    assert.match(after.at(-1)!, 'Stanisław')
  })

  test.run()
}
