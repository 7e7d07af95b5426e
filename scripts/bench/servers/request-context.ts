/** MikroORM's documented middleware for Koa: RequestContext, and the global `orm.em` in the handlers. */
import { RequestContext } from '@mikro-orm/core'
import { FAILURE } from '../works.ts'
import { Article, Note } from '../entities.ts'
import { openOrm } from '../open-orm.ts'
import type { OpenServer } from './bench-server.ts'

export const open: OpenServer = async ({ main, other }) => {
  const orm = await openOrm(main, 'main')
  const otherOrm = other === undefined ? undefined : await openOrm(other, 'other')
  const ems = otherOrm === undefined ? [orm.em] : [orm.em, otherOrm.em]
  return {
    middleware: [(_, next) => RequestContext.create(ems, next)],
    handlers: {
      none: () => ({ ok: true }),
      read: (_, id) => orm.em.findOneOrFail(Article, Number(id)),
      'read-in-transaction': (_, id) => orm.em.transactional((em) => em.findOneOrFail(Article, Number(id))),
      // A flush has a transaction of its own.
      async write(_, label) {
        const note = orm.em.create(Note, { label })
        orm.em.persist(note)
        await orm.em.flush()
        return note
      },
      'read-write': (_, id) =>
        orm.em.transactional(async (em) => {
          const article = await em.findOneOrFail(Article, Number(id))
          article.views += 1
          return article
        }),
      async two(_, label) {
        const note = orm.em.create(Note, { label })
        orm.em.persist(note)
        otherOrm!.em.persist(otherOrm!.em.create(Note, { label }))
        await orm.em.flush()
        await otherOrm!.em.flush()
        return note
      },
      fail: (ctx, label) =>
        orm.em.transactional(async (em) => {
          em.persist(em.create(Note, { label }))
          await em.flush()
          ctx.throw(409, FAILURE)
        }),
    },
    async close() {
      await orm.close()
      await otherOrm?.close()
    },
  }
}
